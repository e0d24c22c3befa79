// Hands the answers of a seeing game on this page to Python. Nothing is shown: it lives as long as the kernel.
function initialize({ model }) {
  const id = model.get("game");
  const listening = (window.cs329tGameAnswers ??= {}); // by game, how many hand on its answers
  const send = (event) => {
    if (event.detail.id !== id) return;
    model.set("answers", event.detail.answers);
    model.save_changes();
  };
  const confirm = () => window.dispatchEvent(new CustomEvent("cs329t-game-kept", { detail: { id } }));
  listening[id] = (listening[id] ?? 0) + 1;
  window.addEventListener("cs329t-game-over", send);
  model.on("change:kept", confirm);
  return () => {
    listening[id] -= 1;
    window.removeEventListener("cs329t-game-over", send);
  };
}
export default { initialize };
