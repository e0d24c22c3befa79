// The trade-off explorer: the closed forms of theory/tradeoff.py, computed in the browser as sliders move. No kernel, no network.

// ---- the model: strong feature right with probability p, d weak features of lean eta; accuracies in closed form

/* The normal distribution function to about 1e-15: a series for erf near zero, a continued fraction for erfc beyond. */
function phi(x) {
  const z = Math.abs(x) / Math.SQRT2;
  if (z > 27) return x > 0 ? 1 : 0;
  let upper;
  if (z < 2.5) {
    let term = z, sum = z;
    for (let k = 1; Math.abs(term) > 1e-17 * sum; k++) {
      term *= (-z * z) / k;
      sum += term / (2 * k + 1);
      if (k > 200) break;
    }
    upper = 0.5 - sum / Math.sqrt(Math.PI);
  } else {
    let fraction = z;
    for (let k = 120; k > 0; k--) fraction = z + k / 2 / fraction;
    upper = Math.exp(-z * z) / (2 * Math.sqrt(Math.PI) * fraction);
  }
  return x > 0 ? 1 - upper : upper;
}

/* Accuracy at eps of sign(ratio·x₁ + mean lean of the weak features); an infinite ratio is the strong feature alone. */
function accuracy({ d, p, eta }, ratio, eps) {
  if (ratio === Infinity) return eps < 1 ? p : 0;
  const lean = (eta - eps) * Math.sqrt(d);
  return p * phi(lean + ratio * (1 - eps)) + (1 - p) * phi(lean - ratio * (1 + eps));
}

/* The ratio that is best against eps; see StrongWeak.best_ratio. */
function bestRatio(model, eps) {
  const lean = (model.eta - eps) * Math.sqrt(model.d);
  const odds = Math.log((model.p * (1 - eps)) / ((1 - model.p) * (1 + eps)));
  const root = lean * lean - 2 * eps * odds;
  if (lean <= 0 || root < 0) return Infinity;
  const peak = Math.max(0, odds / (lean + Math.sqrt(root)));
  return accuracy(model, peak, eps) >= model.p ? peak : Infinity;
}

const bound = (p, delta) => Math.min(1, (p / (1 - p)) * delta);

// ---- the page

const percent = (value) => `${(100 * value).toFixed(1)}%`;
const LINES = {
  standard: { label: "standard training", className: "ct-standard" },
  best: { label: "trained against this ε", className: "ct-best" },
  clean: { label: "the latter, without attack", className: "ct-clean" },
  bound: { label: "theorem's bound for standard", className: "ct-bound" },
};
const BOX = { left: 52, right: 548, top: 14, bottom: 262, width: 560, height: 306 };

class TradeoffExplorer {
  constructor(root, data) {
    this.data = data;
    this.values = { ...data.start };
    this.inputs = {};
    this.functions = { phi, accuracy, bestRatio, bound }; // for the tests
    openPanel(root, data.title, make("div", "ct-body", this.picture(), this.side()));
    this.draw();
  }

  picture() {
    this.svg = shape("svg", { viewBox: `0 0 ${BOX.width} ${BOX.height}`, role: "img" });
    const legend = Object.values(LINES).map(({ label, className }) => make("span", className, label));
    return make("figure", "ct-figure", this.svg, make("figcaption", "ct-legend", ...legend));
  }

  side() {
    const side = make("div", "ct-side");
    for (const { name, label, low, high, step } of this.data.sliders) {
      const settings = { min: low, max: high, step, value: this.position(name) };
      const input = slider(settings, (position) => { this.values[name] = this.value(name, position); this.draw(); });
      const shown = make("output", "ct-value");
      side.append(make("label", "ct-row", make("span", "ct-name", label), input, shown));
      this.inputs[name] = { input, shown };
    }
    this.verdict = make("div", "ct-verdict");
    this.verdict.setAttribute("aria-live", "polite");
    side.append(this.verdict);
    return side;
  }

  /* d moves on a logarithmic scale: its slider holds log10 d. */
  position(name) { return name === "d" ? Math.log10(this.values.d) : this.values[name]; }

  value(name, position) { return name === "d" ? Math.round(10 ** position) : position; }

  numbers() {
    const { d, p, eta, eps } = this.values;
    const model = { d, p, eta };
    const plain = bestRatio(model, 0), tough = bestRatio(model, eps);
    const standard = accuracy(model, plain, 0);
    return {
      model, plain, tough, standard,
      standardRobust: accuracy(model, plain, eps),
      bestClean: accuracy(model, tough, 0),
      best: accuracy(model, tough, eps),
      bound: eps >= 2 * eta ? bound(p, 1 - standard) : 1,
    };
  }

  draw() {
    const { d, p, eta, eps } = this.values;
    for (const [name, { shown }] of Object.entries(this.inputs)) {
      shown.textContent = name === "d" ? String(d) : this.values[name].toFixed(2);
      this.inputs[name].input.setAttribute("aria-valuetext", shown.textContent);
    }
    const found = this.numbers();
    this.plot(found);
    const uses = found.tough === Infinity ? "the strong feature alone" : "the weak features too";
    const rows = [
      ["", "no attack", `ε = ${eps.toFixed(2)}`],
      ["standard training", percent(found.standard), percent(found.standardRobust)],
      ["trained against ε", percent(found.bestClean), percent(found.best)],
    ];
    const table = make("table", "ct-table", ...rows.map((cells, r) =>
      make("tr", "", ...cells.map((cell, c) => make(r === 0 || c === 0 ? "th" : "td", "", cell)))));
    const limit = eps >= 2 * eta
      ? `ε ≥ 2η: no classifier as accurate as standard training can be more than ${percent(found.bound)} robust.`
      : `ε < 2η = ${(2 * eta).toFixed(2)}: the theorem says nothing yet.`;
    this.verdict.replaceChildren(table, make("p", "", `Against this ε the best linear classifier uses ${uses}.`), make("p", "", limit));
    this.svg.setAttribute("aria-label", `Accuracy against ε, d = ${d}, p = ${p.toFixed(2)}, η = ${eta.toFixed(2)}. At ε = ${eps.toFixed(2)}: standard training ${percent(found.standardRobust)}, trained against this ε ${percent(found.best)}.`);
  }

  plot({ model, plain, standard }) {
    const { eta, eps, p } = this.values;
    const x = (value) => BOX.left + value * (BOX.right - BOX.left);
    const y = (value) => BOX.bottom - value * (BOX.bottom - BOX.top);
    const parts = [];
    for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
      parts.push(shape("line", { x1: BOX.left, x2: BOX.right, y1: y(tick), y2: y(tick), class: "ct-grid" }));
      parts.push(shape("text", { x: BOX.left - 6, y: y(tick) + 4, "text-anchor": "end" }, `${100 * tick}%`));
      parts.push(shape("text", { x: x(tick), y: BOX.bottom + 16, "text-anchor": "middle" }, String(tick)));
    }
    parts.push(shape("text", { x: (BOX.left + BOX.right) / 2, y: BOX.height - 6, "text-anchor": "middle" }, "ε, the adversary's reach in each feature"));
    for (const [at, text] of [[eta, "η"], [2 * eta, "2η"]]) {
      if (at > 1) continue;
      parts.push(shape("line", { x1: x(at), x2: x(at), y1: BOX.top, y2: BOX.bottom, class: "ct-mark" }));
      parts.push(shape("text", { x: x(at) + 4, y: BOX.top + 10 }, text));
    }
    const ladder = Array.from({ length: 200 }, (_, i) => i / 200);
    const path = (height, from = 0) => ladder.filter((e) => e >= from).map((e, i) => `${i ? "L" : "M"}${x(e).toFixed(1)},${y(height(e)).toFixed(1)}`).join("");
    parts.push(shape("path", { d: path((e) => accuracy(model, plain, e)), class: "ct-line ct-standard" }));
    parts.push(shape("path", { d: path((e) => accuracy(model, bestRatio(model, e), 0)), class: "ct-line ct-clean" }));
    parts.push(shape("path", { d: path((e) => accuracy(model, bestRatio(model, e), e)), class: "ct-line ct-best" }));
    if (2 * eta < 1) parts.push(shape("path", { d: path(() => bound(p, 1 - standard), 2 * eta), class: "ct-line ct-bound" }));
    parts.push(shape("line", { x1: x(eps), x2: x(eps), y1: BOX.top, y2: BOX.bottom, class: "ct-now" }));
    this.svg.replaceChildren(...parts);
  }
}

comeAlive(".cs329t-tradeoff", (root) => new TradeoffExplorer(root, readJson(root)));
