// The curve explorer: robustness curves of several models, measured beforehand. No kernel, no network, no library.
// Python (curve_explorer.py) writes the data: values[attack][model][radius] is [accuracy, low, high] in per mille.

const W = 560, H = 360, LEFT = 52, RIGHT = 14, TOP = 12, BOTTOM = 46;
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, Home: -1e9, End: 1e9 };
const percent = (perMille) => `${(perMille / 10).toFixed(perMille % 10 ? 1 : 0)}%`;
const OUTLINES = { square: "-4,-4 4,-4 4,4 -4,4", up: "0,-5 5,4 -5,4", down: "0,5 5,-4 -5,-4", diamond: "0,-6 5,0 0,6 -5,0" };

function marker(model, x, y) {
  const place = { transform: `translate(${x} ${y})`, fill: model.colour };
  if (model.shape === "cross") return shape("path", { ...place, d: "M-4-4L4 4M-4 4L4-4", stroke: model.colour, "stroke-width": 2 });
  if (model.shape in OUTLINES) return shape("polygon", { ...place, points: OUTLINES[model.shape] });
  return shape("circle", { ...place, r: 4 });
}

class CurveExplorer {
  constructor(root, data) {
    Object.assign(this, { data, attack: 0, at: Math.floor(data.eps.length / 2), announcer: new Announcer() });
    this.shown = data.models.map(() => true);
    const body = make("div", "cc-body", make("div", "cc-chart", this.chart()), this.readout());
    const menus = data.attacks.length > 1 ? [this.menu()] : [];
    openPanel(root, data.title, ...menus, body, make("p", "page-note", data.note), this.announcer.node);
    this.paint();
  }

  menu() {
    const select = menu(this.data.attacks, 0, (i) => { this.attack = i; this.paint(); });
    const label = make("label", "", "Attack");
    label.htmlFor = select.id = uniqueId();
    return make("div", "cc-menu", label, select);
  }

  x(eps) {
    const all = this.data.eps, first = all[0], last = all[all.length - 1];
    return LEFT + ((eps - first) / (last - first || 1)) * (W - LEFT - RIGHT);
  }

  y(perMille) { return TOP + (1 - perMille / 1000) * (H - TOP - BOTTOM); }

  chart() {
    const { data } = this, right = W - RIGHT, floor = H - BOTTOM;
    const line = (className, x1, x2, y1, y2) => shape("line", { class: className, x1, x2, y1, y2 });
    const text = (x, y, anchor, said) => shape("text", { x, y, "text-anchor": anchor }, said);
    const parts = [];
    for (let share = 0; share <= 1000; share += 200)
      parts.push(line("cc-grid", LEFT, right, this.y(share), this.y(share)), text(LEFT - 8, this.y(share) + 4, "end", `${share / 10}%`));
    for (const eps of data.eps) parts.push(line("cc-axis", this.x(eps), this.x(eps), floor, floor + 5));
    const every = Math.ceil(data.eps.length / 9);
    data.eps.forEach((eps, i) => {
      if (i % every === 0) parts.push(text(this.x(eps), floor + 20, "middle", `${eps}`));
    });
    const chance = this.y(1000 * data.chance);
    parts.push(line("cc-axis", LEFT, right, floor, floor), text((LEFT + right) / 2, H - 8, "middle", "ε"));
    parts.push(line("cc-chance", LEFT, right, chance, chance), text(right, chance - 5, "end", "guessing"));
    this.cursor = line("cc-cursor", 0, 0, TOP, floor);
    this.curves = shape("g", {});
    const settings = { viewBox: `0 0 ${W} ${H}`, tabindex: 0, role: "slider", "aria-label": "epsilon, the size of the attack", "aria-valuemin": 0, "aria-valuemax": data.eps.length - 1 };
    this.svg = shape("svg", settings, ...parts, this.cursor, this.curves);
    const places = data.eps.map((eps) => this.x(eps));
    const move = (event) => {
      const best = nearest(places, pointIn(this.svg, event, W, H)[0]);
      if (best !== this.at) this.go(best);
    };
    this.svg.addEventListener("pointermove", move);
    this.svg.addEventListener("pointerdown", move);
    return this.svg;
  }

  readout() {
    this.caption = make("caption");
    const table = make("table", "cc-readout", this.caption);
    this.rows = this.data.models.map((model, i) => {
      const key = shape("svg", { viewBox: "0 0 40 16", "aria-hidden": "true" },
        shape("line", { x1: 0, x2: 40, y1: 8, y2: 8, stroke: model.colour, "stroke-width": 2.5, "stroke-dasharray": model.dash }), marker(model, 20, 8));
      const box = checkbox((on) => { this.shown[i] = on; this.paint(); });
      const head = make("th", "", make("label", "", box, key, make("span", "", model.name)));
      head.scope = "row";
      const value = make("td", "cc-value"), interval = make("td");
      const row = make("tr", "", head, value, interval);
      table.append(row);
      return { value, interval };
    });
    return table;
  }

  /** Draw the curves that are switched on, under the attack that is chosen. */
  paint() {
    const { data } = this;
    this.curves.replaceChildren();
    data.models.forEach((model, i) => {
      if (!this.shown[i]) return;
      const values = data.values[this.attack][i];
      const edge = (k) => values.map((v, j) => `${this.x(data.eps[j])},${this.y(v[k])}`);
      this.curves.append(shape("g", { class: "cc-model", "data-model": model.name },
        shape("polygon", { class: "cc-band", fill: model.colour, points: [...edge(1), ...edge(2).reverse()].join(" ") }),
        shape("polyline", { class: "cc-curve", stroke: model.colour, "stroke-dasharray": model.dash, points: edge(0).join(" ") }),
        ...values.map((v, j) => marker(model, this.x(data.eps[j]), this.y(v[0])))));
    });
    this.go(this.at);
  }

  go(at) {
    const { data } = this;
    this.at = clamp(at, 0, data.eps.length - 1);
    const x = this.x(data.eps[this.at]);
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
    this.caption.textContent = `at ε = ${data.eps[this.at]}, n = ${data.n[this.attack]} (95% interval)`;
    const said = [];
    data.models.forEach((model, i) => {
      const [value, low, high] = data.values[this.attack][i][this.at];
      this.rows[i].value.textContent = this.shown[i] ? percent(value) : "–";
      this.rows[i].interval.textContent = this.shown[i] ? `${percent(low).slice(0, -1)}–${percent(high)}` : "";
      if (this.shown[i]) said.push(`${model.name} ${percent(value)}`);
    });
    const text = `ε = ${data.eps[this.at]}: ${said.join(", ") || "no model is shown"}`;
    this.svg.setAttribute("aria-valuenow", this.at);
    this.svg.setAttribute("aria-valuetext", text);
    this.announcer.say(`${data.attacks[this.attack]}, ${text}`);
  }

  onKey(event) {
    if (event.target !== this.svg || !(event.key in STEPS)) return false;
    this.go(this.at + STEPS[event.key]);
    return true;
  }
}

comeAlive(".cs329t-curves", (root) => new CurveExplorer(root, readJson(root)));
