// Carries the answers of a seeing game on this page to Python. It has no picture of its own: it lives as long as the kernel.
function initialize({ model }) {
  const id = model.get("game");
  const waiting = (window.cs329tCouriers ??= {});
  const carry = (event) => {
    if (event.detail.id !== id) return;
    model.set("answers", event.detail.answers);
    model.save_changes();
  };
  const tell = () => window.dispatchEvent(new CustomEvent("cs329t-game-kept", { detail: { id } }));
  waiting[id] = (waiting[id] ?? 0) + 1;
  window.addEventListener("cs329t-game-over", carry);
  model.on("change:kept", tell);
  return () => {
    waiting[id] -= 1;
    window.removeEventListener("cs329t-game-over", carry);
  };
}
export default { initialize };
