// The curve explorer: robustness curves of several models, measured beforehand. No kernel, no network, no library.
// Python (curve_explorer.py) writes the data: values[attack][model][radius] is [accuracy, low, high] in per mille.
(() => {
  "use strict";

  const W = 560, H = 360, LEFT = 52, RIGHT = 14, TOP = 12, BOTTOM = 46;
  const ANNOUNCE_MS = 300; // a screen reader hears where the cursor came to rest, not every step
  let serial = 0;

  function make(tag, className = "", text = "") {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text) node.textContent = text;
    return node;
  }

  function draw(tag, attributes, parent) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (parent) parent.append(node);
    return node;
  }

  const percent = (perMille) => `${(perMille / 10).toFixed(perMille % 10 ? 1 : 0)}%`;
  const OUTLINES = { square: "-4,-4 4,-4 4,4 -4,4", up: "0,-5 5,4 -5,4", down: "0,5 5,-4 -5,-4", diamond: "0,-6 5,0 0,6 -5,0" };

  function marker(model, x, y, parent) {
    const place = { transform: `translate(${x} ${y})`, fill: model.colour };
    if (model.shape === "cross") return draw("path", { ...place, d: "M-4-4L4 4M-4 4L4-4", stroke: model.colour, "stroke-width": 2 }, parent);
    if (model.shape in OUTLINES) return draw("polygon", { ...place, points: OUTLINES[model.shape] }, parent);
    return draw("circle", { ...place, r: 4 }, parent);
  }

  class CurveExplorer {
    constructor(root, data) {
      Object.assign(this, { root, data, attack: 0, at: Math.floor(data.eps.length / 2), id: `cc-${Date.now().toString(36)}-${serial++}` });
      this.shown = data.models.map(() => true);
      const panel = make("div", "cc-panel");
      panel.setAttribute("role", "group");
      panel.setAttribute("aria-label", data.title);
      panel.append(make("div", "cc-title", data.title));
      if (data.attacks.length > 1) panel.append(this.menu());
      const body = make("div", "cc-body");
      const chart = make("div", "cc-chart");
      chart.append(this.chart());
      body.append(chart, this.readout());
      this.announcer = make("div", "cc-hidden");
      this.announcer.setAttribute("aria-live", "polite");
      panel.append(body, make("p", "cc-note", data.note), this.announcer);
      root.querySelector(".cc-static").replaceWith(panel);
      this.paint();
    }

    menu() {
      const field = make("div", "cc-menu");
      const label = make("label", "", "Attack");
      const select = make("select");
      label.htmlFor = select.id = `${this.id}-attack`;
      this.data.attacks.forEach((name, i) => select.add(new Option(name, i)));
      select.onchange = () => { this.attack = Number(select.value); this.paint(); };
      field.append(label, select);
      return field;
    }

    x(eps) {
      const all = this.data.eps, first = all[0], last = all[all.length - 1];
      return LEFT + ((eps - first) / (last - first || 1)) * (W - LEFT - RIGHT);
    }

    y(perMille) { return TOP + (1 - perMille / 1000) * (H - TOP - BOTTOM); }

    chart() {
      const { data } = this;
      const svg = this.svg = draw("svg", { viewBox: `0 0 ${W} ${H}`, tabindex: 0, role: "slider", "aria-label": "epsilon, the size of the attack", "aria-valuemin": 0, "aria-valuemax": data.eps.length - 1 });
      for (let share = 0; share <= 1000; share += 200) {
        draw("line", { class: "cc-grid", x1: LEFT, x2: W - RIGHT, y1: this.y(share), y2: this.y(share) }, svg);
        draw("text", { x: LEFT - 8, y: this.y(share) + 4, "text-anchor": "end" }, svg).textContent = `${share / 10}%`;
      }
      for (const eps of data.eps) draw("line", { class: "cc-axis", x1: this.x(eps), x2: this.x(eps), y1: H - BOTTOM, y2: H - BOTTOM + 5 }, svg);
      const every = Math.ceil(data.eps.length / 9);
      data.eps.forEach((eps, i) => {
        if (i % every === 0) draw("text", { x: this.x(eps), y: H - BOTTOM + 20, "text-anchor": "middle" }, svg).textContent = `${eps}`;
      });
      draw("line", { class: "cc-axis", x1: LEFT, x2: W - RIGHT, y1: H - BOTTOM, y2: H - BOTTOM }, svg);
      draw("text", { x: (LEFT + W - RIGHT) / 2, y: H - 8, "text-anchor": "middle" }, svg).textContent = "ε";
      const chance = this.y(1000 * data.chance);
      draw("line", { class: "cc-chance", x1: LEFT, x2: W - RIGHT, y1: chance, y2: chance }, svg);
      draw("text", { x: W - RIGHT, y: chance - 5, "text-anchor": "end" }, svg).textContent = "guessing";
      this.cursor = draw("line", { class: "cc-cursor", y1: TOP, y2: H - BOTTOM }, svg);
      this.curves = draw("g", {}, svg);
      const move = (event) => {
        const box = svg.getBoundingClientRect();
        const x = ((event.clientX - box.left) / box.width) * W;
        const best = data.eps.reduce((near, eps, i) => (Math.abs(this.x(eps) - x) < Math.abs(this.x(data.eps[near]) - x) ? i : near), 0);
        if (best !== this.at) this.go(best);
      };
      svg.addEventListener("pointermove", move);
      svg.addEventListener("pointerdown", move);
      return svg;
    }

    readout() {
      const table = make("table", "cc-readout");
      this.caption = make("caption");
      table.append(this.caption);
      this.rows = this.data.models.map((model, i) => {
        const row = make("tr"), head = make("th"), label = make("label"), box = make("input");
        head.scope = "row";
        box.type = "checkbox";
        box.checked = true;
        box.onchange = () => { this.shown[i] = box.checked; this.paint(); };
        const key = draw("svg", { viewBox: "0 0 40 16", "aria-hidden": "true" });
        draw("line", { x1: 0, x2: 40, y1: 8, y2: 8, stroke: model.colour, "stroke-width": 2.5, "stroke-dasharray": model.dash }, key);
        marker(model, 20, 8, key);
        label.append(box, key, make("span", "", model.name));
        head.append(label);
        const value = make("td", "cc-value"), interval = make("td");
        row.append(head, value, interval);
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
        const group = draw("g", { class: "cc-model", "data-model": model.name }, this.curves);
        const edge = (k) => values.map((v, j) => `${this.x(data.eps[j])},${this.y(v[k])}`);
        draw("polygon", { class: "cc-band", fill: model.colour, points: [...edge(1), ...edge(2).reverse()].join(" ") }, group);
        draw("polyline", { class: "cc-curve", stroke: model.colour, "stroke-dasharray": model.dash, points: edge(0).join(" ") }, group);
        values.forEach((v, j) => marker(model, this.x(data.eps[j]), this.y(v[0]), group));
      });
      this.go(this.at);
    }

    go(at) {
      const { data } = this;
      this.at = Math.min(data.eps.length - 1, Math.max(0, at));
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
      clearTimeout(this.announcing);
      this.announcing = setTimeout(() => { this.announcer.textContent = `${data.attacks[this.attack]}, ${text}`; }, ANNOUNCE_MS);
    }
  }

  /* JupyterLab listens on the document, in the capture phase, where an arrow key selects another cell: so we listen on
   * the window, which comes before. Shift+Enter, Ctrl+S and the like pass. */
  function shieldKeys() {
    if (window.cs329tCurveKeys) return;
    window.cs329tCurveKeys = true;
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, Home: -1e9, End: 1e9 };
    window.addEventListener("keydown", (event) => {
      const passes = event.ctrlKey || event.metaKey || event.altKey || (event.shiftKey && event.key === "Enter");
      const root = event.target instanceof Element ? event.target.closest(".cs329t-curves") : null;
      if (passes || !root) return;
      event.stopPropagation();
      const { explorer } = root;
      if (!explorer || event.target !== explorer.svg || !(event.key in steps)) return;
      event.preventDefault();
      explorer.go(explorer.at + steps[event.key]);
    }, true);
  }

  function start(root) {
    if (!root || root.dataset.live) return;
    shieldKeys();
    root.dataset.live = "loading";
    root.explorer = new CurveExplorer(root, JSON.parse(root.querySelector(".cc-data").textContent));
    root.dataset.live = "yes";
  }

  const own = document.currentScript && document.currentScript.closest(".cs329t-curves");
  if (own) start(own);
  else document.querySelectorAll(".cs329t-curves:not([data-live])").forEach(start);
})();
