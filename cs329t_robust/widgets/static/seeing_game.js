// The seeing game: two pictures, one changed, choose which. No kernel, no network; staircase.js comes before this text.
// Python (seeing_game.py) writes the data and reads the answers; `changed` reads what `Changes.pack` describes.

const KEYS = { ArrowLeft: 0, ArrowUp: 0, f: 0, F: 0, ArrowRight: 1, ArrowDown: 1, j: 1, J: 1 };
const SIDES = ["left", "right"];
const PATIENCE_MS = 4000; // for Python to say that it has the result

/* Numbers in [0, 1) that follow from a seed (mulberry32). */
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), 1 | state);
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z;
    return ((z ^ (z >>> 14)) >>> 0) / 4294967296;
  };
}

async function read(root) {
  const { header, body } = await unpack(root);
  return { ...header, body, size: header.width * header.height * header.channels };
}

/* Return the bytes (height, width, channels) of a picture changed by a level of a norm; level -1 is unchanged. */
function changed(data, picture, norm, level) {
  const pixels = Uint8ClampedArray.from(new Uint8Array(data.body, data.pictures[picture].at, data.size));
  if (level < 0) return pixels;
  const change = data.norms[norm].changes[picture];
  if (change.amounts) {
    const amount = change.amounts[level];
    const steps = new Int8Array(data.body, change.at, data.size);
    for (let i = 0; i < data.size; i++) pixels[i] = Math.min(255, Math.max(0, Math.floor(pixels[i] + amount * steps[i] + 0.5)));
    return pixels;
  }
  const places = new Uint32Array(data.body, change.placesAt, change.count);
  const colours = new Uint8Array(data.body, change.coloursAt, change.count * data.channels);
  for (let i = 0; i < data.norms[norm].levels[level]; i++)
    for (let c = 0; c < data.channels; c++) pixels[places[i] * data.channels + c] = colours[i * data.channels + c];
  return pixels;
}

/* Write a size as Python's `say` does: two digits, in the norm's own unit. */
function say(norm, size) {
  if (norm.name === "L0") return Math.round(size) === 1 ? "1 pixel" : `${Math.round(size)} pixels`;
  const value = Number((size * norm.denominator).toPrecision(2));
  return norm.denominator === 1 ? String(value) : `${value}/${norm.denominator}`;
}

/* Say in a sentence what was found, as Python's `sentence` does. */
function sentence(norm, found) {
  const bottom = norm.levels[0], top = norm.levels[norm.levels.length - 1], model = norm.model;
  const breaks = model === null ? "the model did not break" : `the model breaks at ${say(norm, model)}`;
  if (found.where === "above") return `You did not notice even ${say(norm, top)}; ${breaks}.`;
  if (found.where === "below") return `You noticed even the smallest, ${say(norm, bottom)}; ${breaks}.`;
  const yours = `you notice at ${say(norm, found.size)}`;
  const start = `${breaks[0].toUpperCase()}${breaks.slice(1)}, ${yours}`;
  if (model === null) return `${start}.`;
  if ((found.low === null || found.low <= model) && (found.high === null || model <= found.high))
    return `${start}: too close to tell apart with so few pairs.`;
  const ratio = Number((model < found.size ? found.size / model : model / found.size).toPrecision(2));
  return model < found.size
    ? `${start}: it breaks at a change ${ratio} times smaller than you notice.`
    : `${start}: you notice a change ${ratio} times smaller than breaks it.`;
}

function interval(norm, found) {
  const bottom = norm.levels[0], top = norm.levels[norm.levels.length - 1];
  if (found.low !== null && found.high !== null) return `${say(norm, found.low)} to ${say(norm, found.high)}`;
  if (found.high !== null) return `at most ${say(norm, found.high)}`;
  if (found.low !== null) return `at least ${say(norm, found.low)}`;
  return found.where === "above" ? `above ${say(norm, top)}` : found.where === "below" ? `below ${say(norm, bottom)}` : "anything";
}

function noticed(norm, found) {
  const top = norm.levels[norm.levels.length - 1];
  if (found.where === "above") return `not even ${say(norm, top)}`;
  return found.where === "below" ? `even ${say(norm, norm.levels[0])}` : say(norm, found.size);
}

class SeeingGame {
  constructor(root, data, answers) {
    Object.assign(this, { root, data, state: "start", shown: null });
    this.build();
    this.deal();
    if (answers) this.recall(answers);
    else this.showStart();
  }

  build() {
    const { data } = this;
    this.card = make("div", "cg-card");
    this.card.tabIndex = -1;
    this.stage = this.buildStage();
    this.announcer = new Announcer();
    this.panel = openPanel(this.root, data.title, this.card, this.stage, this.announcer.node);
    new ResizeObserver(() => this.layout()).observe(this.panel);
  }

  buildStage() {
    const stage = make("div", "cg-stage");
    stage.tabIndex = 0;
    stage.setAttribute("role", "application");
    stage.setAttribute("aria-label", "Which picture was changed? Left arrow or F: the first. Right arrow or J: the second. Escape: pause.");
    this.question = make("div", "cg-question", "Which picture was changed?");
    this.pair = make("div", "cg-pair");
    this.pictures = SIDES.map((side, i) => {
      const picture = new Picture(this.data.width, this.data.height);
      const keys = make("span", "cg-key", make("span", "cg-beside", i ? "right: → or J" : "left: ← or F"), make("span", "cg-above", i ? "lower: ↓ or J" : "upper: ↑ or F"));
      const choice = button("cg-choice", [picture.canvas, keys], () => this.choose(i));
      choice.setAttribute("aria-label", `the ${side} or ${i ? "lower" : "upper"} picture was changed`);
      this.pair.append(choice);
      return picture;
    });
    this.progress = make("progress", "cg-progress");
    this.progress.setAttribute("aria-label", "pairs done");
    this.count = make("span", "cg-count");
    const pause = button("cg-button cg-quiet", "Pause (Esc)", () => this.pause());
    stage.append(this.question, this.pair, make("div", "cg-foot", this.progress, this.count, pause));
    return stage;
  }

  /* Whole screen pixels for each pixel of the picture, side by side if there is room, else one above the other. */
  layout() {
    const { width, height } = this.data;
    const room = this.panel.clientWidth - 36, tall = Math.max(160, Math.min(520, window.innerHeight - 240));
    const fits = (across) => Math.min(Math.floor(across / width), Math.max(1, Math.floor(tall / height)));
    const beside = fits((room - 24) / 2 - 8);
    this.pair.classList.toggle("cg-stacked", beside < 1);
    const zoom = beside || Math.max(1, Math.min(fits(room - 8), Math.floor(tall / 2 / height)));
    for (const { canvas } of this.pictures) canvas.style.width = `${zoom * width}px`;
  }

  deal() {
    const { data } = this;
    this.random = randomFrom(data.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]);
    this.stairs = data.norms.map((norm) => new Staircase(norm.levels, data.trials));
    this.round = [];
  }

  get total() {
    return this.stairs.reduce((sum, stairs) => sum + (stairs.done ? stairs.answers.length : this.data.trials), 0);
  }

  get answered() {
    return this.stairs.reduce((sum, stairs) => sum + stairs.answers.length, 0);
  }

  /* Replace the screen; the first button is the way on, and has the focus if `focus`. */
  screen(state, content, buttons, focus = true) {
    this.state = state;
    this.stage.hidden = true;
    this.card.hidden = false;
    const row = make("div", "cg-buttons", ...buttons.map(([text, act], i) => button(i ? "cg-button cg-quiet" : "cg-button", text, act)));
    this.card.replaceChildren(...content, row);
    if (focus) (state === "results" ? this.card : row.firstChild).focus({ preventScroll: true });
  }

  showStart() {
    const names = this.data.norms.map((norm) => norm.label).join("; ");
    this.screen("start", [
      make("p", "", `You see two pictures, one of them changed: say which. The better you see, the smaller the changes become. There are at most ${this.total} pairs, `
        + "about three seconds each, and nobody tells you whether you were right until the end; when you see no difference, guess."),
      make("p", "", `Kinds of change, in mixed order: ${names}.`),
      make("p", "", "Keys: ← or F for the left (or upper) picture, → or J for the right (or lower) one, Escape to pause."),
    ], [["Begin with a practice pair", () => this.practise()], ["Skip the practice", () => this.next()]], false);
  }

  practise() {
    const norm = Math.floor(this.random() * this.data.norms.length);
    this.show({ practice: true, norm, level: this.data.norms[norm].levels.length - 1, picture: this.draw(this.data.pictures.length) });
  }

  draw(n) {
    return Math.floor(this.random() * n);
  }

  /* The next pair: each round visits every unfinished norm once, in random order. */
  next() {
    const open = this.stairs.flatMap((stairs, norm) => (stairs.done ? [] : [norm]));
    if (!open.length) return this.finish();
    this.round = this.round.filter((norm) => open.includes(norm));
    if (!this.round.length) {
      for (const norm of open) this.round.splice(this.draw(this.round.length + 1), 0, norm);
    }
    const norm = this.round.shift();
    this.show({ norm, level: this.stairs[norm].index, picture: this.draw(this.data.pictures.length) });
  }

  show(trial) {
    this.shown = { ...trial, side: this.draw(2) };
    this.card.hidden = true;
    this.stage.hidden = false;
    this.state = "blank";
    this.layout();
    this.say(trial.practice ? "Practice pair" : `Pair ${this.answered + 1} of at most ${this.total}`);
    this.progress.max = this.total;
    this.progress.value = this.answered;
    this.stage.focus({ preventScroll: true });
    // a blank between pairs, or what changed would be seen to flicker
    this.clear();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.reveal(), 1000 * this.data.blank);
  }

  say(text) {
    this.count.textContent = text;
    this.announcer.say(text, 0);
  }

  clear() {
    for (const picture of this.pictures) picture.clear();
  }

  reveal() {
    const { picture, norm, level, side } = this.shown;
    this.state = "choice";
    this.pictures.forEach((one, i) => one.paint(changed(this.data, picture, norm, i === side ? level : -1), this.data.channels));
    if (this.data.seconds) this.timer = setTimeout(() => this.clear(), 1000 * this.data.seconds);
  }

  choose(side) {
    if (this.state !== "choice") return;
    clearTimeout(this.timer);
    const right = side === this.shown.side;
    if (this.shown.practice) return this.practised(right);
    this.stairs[this.shown.norm].answer(right);
    this.next();
  }

  practised(right) {
    const told = `${right ? "Right" : "Not this time"}: the ${SIDES[this.shown.side]} (${this.shown.side ? "lower" : "upper"}) picture was changed. That was practice and does not count.`;
    this.say(told);
    this.screen("practised", [make("p", "", told)], [["Begin", () => this.next()], ["Practise again", () => this.practise()]]);
  }

  pause() {
    if (this.state !== "choice" && this.state !== "blank") return;
    clearTimeout(this.timer);
    const { practice } = this.shown;
    if (!practice) this.round.unshift(this.shown.norm);
    const told = `Paused after ${this.answered} of at most ${this.total} pairs.`;
    this.say(told);
    this.screen("paused", [make("p", "", told)], [
      ["Go on", () => (practice ? this.practise() : this.next())],
      ["Start over", () => { this.deal(); this.showStart(); this.card.querySelector("button").focus(); }],
    ]);
  }

  /* What was answered: for each norm a 1 for every right choice and a 0 for every wrong one, in order. */
  get answers() {
    return Object.fromEntries(this.data.norms.map((norm, i) => [norm.name, this.stairs[i].answers.map(([, right]) => +right).join("")]));
  }

  /* The staircase of a norm after these answers; with `sentence`, what a test compares with Python. */
  replay(norm, answers, trials = this.data.trials) {
    return Staircase.replay(this.data.norms[norm].levels, answers, trials);
  }

  sentence(norm, found) {
    return sentence(this.data.norms[norm], found);
  }

  recall(answers) {
    this.stairs = this.data.norms.map((norm, i) => this.replay(i, [...answers[norm.name]].map((one) => one === "1")));
    const waited = (window.cs329tGameFocus ?? "") === this.data.id;
    if (waited) delete window.cs329tGameFocus;
    this.showResults("Kept in this notebook: save it, and the result is there when you open it again. In Python: game.results.", waited);
  }

  finish() {
    const { id } = this.data;
    const listening = window.cs329tGameAnswers?.[id];
    this.showResults(listening ? "Handing the result to Python …" : "", true);
    this.say("Done. Your thresholds follow.");
    if (!listening) return this.offerLine();
    window.cs329tGameFocus = id;
    const kept = (event) => {
      if (event.detail.id !== id) return;
      clearTimeout(this.timer);
      this.kept.textContent = "Python has the result: game.results. To see it in the notebook, run a cell that prints game.summary().";
    };
    window.addEventListener("cs329t-game-kept", kept, { once: true });
    this.timer = setTimeout(() => this.offerLine(), PATIENCE_MS);
    window.dispatchEvent(new CustomEvent("cs329t-game-over", { detail: { id, answers: this.answers } }));
  }

  /* Without a kernel the page cannot write into the notebook: offer the line that does. */
  offerLine() {
    const line = make("input", "cg-line");
    line.readOnly = true;
    line.value = `game.take(${JSON.stringify(this.answers)})`;
    line.setAttribute("aria-label", "the line that keeps the result");
    line.onfocus = () => line.select();
    this.kept.replaceChildren("No kernel is running here, so this result is gone when you close the page. To keep it, copy this line into a cell: ", line);
  }

  showResults(kept, focus) {
    const head = make("tr", "", ...["change", "you notice at", "95% interval", "the model breaks at", "right choices"].map((text) => {
      const cell = make("th", "", text);
      cell.scope = "col";
      return cell;
    }));
    const found = this.stairs.map((stairs) => stairs.threshold);
    const rows = this.data.norms.map((norm, i) => {
      const { answers } = this.stairs[i];
      const name = make("th", "", norm.label);
      name.scope = "row";
      const cells = [noticed(norm, found[i]), interval(norm, found[i]), norm.model === null ? "did not break" : say(norm, norm.model),
        `${answers.filter(([, right]) => right).length} of ${answers.length}`];
      return make("tr", "", name, ...cells.map((text) => make("td", "", text)));
    });
    const table = make("table", "cg-table", make("thead", "", head), make("tbody", "", ...rows));
    const list = make("ul", "cg-sentences", ...this.data.norms.map((norm, i) => {
      const item = make("li", "", make("b", "", `${norm.name}. `), this.sentence(i, found[i]));
      return item;
    }));
    this.kept = make("p", "cg-kept", kept);
    const heading = make("div", "cg-heading", "What you saw");
    const meaning = make("p", "cg-meaning", "“You notice at”: the size at which three of four choices are right; half would be guessing. "
      + "“The model breaks at”: the smallest change found that alters its prediction, the median over these pictures.");
    this.screen("results", [heading, make("div", "cg-scroll", table), list, meaning, this.kept],
      [["Play again", () => { this.deal(); this.showStart(); this.card.querySelector("button").focus(); }]], focus);
  }

  onKey(event) {
    if (!["choice", "blank"].includes(this.state)) return false;
    if (event.key === "Escape") this.pause();
    else if (!(event.key in KEYS)) return false;
    else if (!event.repeat) this.choose(KEYS[event.key]);
    return true;
  }
}

comeAlive(".cs329t-game", async (root) => {
  const answers = JSON.parse(root.querySelector(".cg-answers").textContent);
  return new SeeingGame(root, await read(root), answers);
});
