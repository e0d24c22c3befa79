// The epsilon explorer: draws one step of a precomputed ladder of radii. No kernel, no network, no library.
// Python (epsilon_explorer_data.py) writes the data, which `read` lays out.

const NEGATIVE = [84, 39, 136];
const ZERO = [247, 247, 247];
const POSITIVE = [179, 88, 6];

async function read(root) {
  const { header: data, body } = await unpack(root);
  const size = data.height * data.width * data.channels;
  data.size = size;
  data.clean = data.images.map((image) => new Uint8Array(body, image.offset, size));
  for (const view of data.views) {
    const levels = view.step.length;
    view.p = new Uint16Array(body, view.pAt, levels * (view.rows.length + view.other));
    view.frames = new Int8Array(body, view.framesAt, (levels - 1) * size);
    if (view.chained) // stored as differences from the level below
      for (let i = size; i < view.frames.length; i++) view.frames[i] += view.frames[i - size];
  }
  return data;
}

class EpsilonExplorer {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.id = uniqueId();
    this.announcer = new Announcer();
    openPanel(root, data.title, this.buildMenus(), this.buildBody(), this.announcer.node);
    this.chooseView(data.start.position);
  }

  buildMenus() {
    const { data } = this;
    const row = make("div", "cx-menus");
    this.menus = {};
    const choices = {
      image: ["Image", data.images.map((image) => image.name)],
      attack: ["Attack", data.attacks.map((attack) => attack.label)],
      norm: ["Norm", data.norms.map((norm) => norm.label)],
      target: ["Target", data.targets],
    };
    for (const [key, [label, options]] of Object.entries(choices)) {
      const select = menu(options, data.start[key], () => this.chooseView(Number(this.slider.value)));
      select.id = `${this.id}-${key}`;
      const name = make("label", "", label);
      name.htmlFor = select.id;
      const field = make("div", "cx-field", name, select);
      field.hidden = options.length < 2;
      row.append(field);
      this.menus[key] = select;
    }
    row.hidden = [...row.children].every((field) => field.hidden);
    return row;
  }

  buildBody() {
    this.panes = {};
    const pictures = make("div", "cx-pictures", this.buildPane("clean", ""), this.buildPane("delta", "+"), this.buildPane("adv", "="));
    this.scaleLow = make("span");
    this.scaleHigh = make("span");
    const ramp = make("i", this.data.channels === 1 ? "cx-ramp" : "cx-ramp cx-ramp-rgb");
    this.panes.delta.note.append(make("div", "cx-scale", this.scaleLow, ramp, this.scaleHigh));
    this.verdict = make("div", "cx-verdict");
    const longest = Math.max(...Object.values(this.data.classes).map((name) => name.length));
    this.root.classList.toggle("cx-long-names", longest > 6);
    return make("div", "cx-body", pictures, this.verdict, this.buildSlider(), this.buildBars());
  }

  buildPane(key, sign) {
    const { width, height } = this.data;
    const figure = make("figure", `cx-pane cx-pane-${key}`);
    const picture = new Picture(width, height, width > 64 ? "cx-smooth" : "");
    picture.canvas.setAttribute("role", "img");
    const frame = make("div", "cx-frame", picture.canvas);
    if (sign) {
      const node = make("div", "cx-sign", sign);
      node.setAttribute("aria-hidden", "true");
      frame.append(node);
    }
    const name = make("div", "cx-name");
    const note = make("div", "cx-note");
    figure.append(frame, make("figcaption", "", name, note));
    this.panes[key] = Object.assign(picture, { name, note });
    return figure;
  }

  buildBars() {
    this.bars = make("div", "cx-bars");
    this.legendNow = make("span", "cx-key-now");
    return make("div", "cx-side", this.bars, make("div", "cx-legend", this.legendNow, make("span", "cx-key-clean", "clean")));
  }

  buildSlider() {
    this.slider = slider({ id: `${this.id}-eps`, min: 0, step: 1 }, () => this.draw());
    this.slider.setAttribute("aria-label", "epsilon, the size of the perturbation");
    this.epsText = make("output");
    this.epsText.htmlFor = this.slider.id;
    const label = make("label", "cx-eps", "ε = ", this.epsText);
    label.htmlFor = this.slider.id;
    this.flag = make("div", "cx-flag");
    this.ticks = make("div", "cx-ticks");
    this.ticks.setAttribute("aria-hidden", "true");
    this.flag.setAttribute("aria-hidden", "true");
    this.tickKey = make("div", "cx-tick-key");
    this.summary = make("div", "cx-summary");
    this.summary.id = `${this.id}-summary`;
    this.slider.setAttribute("aria-describedby", this.summary.id);
    return make("div", "cx-slider", label, make("div", "cx-rail", this.flag, this.slider, this.ticks), this.tickKey, this.summary);
  }

  /** Show the ladder that the menus ask for, at `position` on it. */
  chooseView(position) {
    const { data, menus } = this;
    const [image, attack, norm] = ["image", "attack", "norm"].map((key) => Number(menus[key].value));
    const find = (target) =>
      data.views.findIndex((v) => v.image === image && v.attack === attack && v.norm === norm && v.target === target);
    const aims = data.attacks[attack].aims;
    for (const option of menus.target.options) option.disabled = aims && find(Number(option.value)) < 0;
    menus.target.disabled = !aims;
    menus.target.title = aims ? "" : "random noise aims at no class";
    if (aims && find(Number(menus.target.value)) < 0) menus.target.value = 0;
    this.view = data.views[find(aims ? Number(menus.target.value) : 0)];
    this.norm = data.norms[norm];
    this.attack = data.attacks[attack];
    this.slider.max = this.view.step.length - 1;
    this.slider.value = position;
    this.layOutBars();
    this.layOutTrack();
    this.paintClean();
    this.draw();
  }

  layOutBars() {
    const { view, data } = this;
    const truth = data.images[view.image].y;
    const names = view.rows.map((id) => data.classes[id]);
    if (view.other) names.push("all other classes");
    this.bars.replaceChildren();
    this.rows = names.map((name, index) => {
      const words = make("span", "cx-word", name);
      words.title = name;
      const label = make("div", "cx-class", words);
      const id = view.rows[index];
      if (id === truth) label.append(make("span", "cx-tag", "true"));
      if (id !== undefined && id === view.aim) label.append(make("span", "cx-tag", "target"));
      const mark = make("div", "cx-mark");
      mark.style.left = `${(view.p[index] / 65535) * 100}%`;
      const { node, fill } = bar("cx-track", mark);
      const value = make("div", "cx-value");
      const row = make("div", "cx-row", label, node, value);
      this.bars.append(row);
      return { row, fill, value, id };
    });
  }

  layOutTrack() {
    const { view, norm } = this;
    const last = view.step.length - 1;
    const at = (level) => `calc(10px + (100% - 20px) * ${level / last})`; // 20px: the thumb's width
    this.ticks.replaceChildren();
    for (let level = 0; level <= last; level++) {
      const tick = make("i", view.flipped[level] ? "cx-flipped" : "");
      tick.style.left = at(level);
      this.ticks.append(tick);
    }
    for (const level of [0, last]) {
      const text = make("span", "", norm.eps[level]);
      text.style.left = at(level);
      this.ticks.append(text);
    }
    const flips = view.flip >= 0;
    this.flag.className = flips ? "cx-flag" : "cx-flag cx-none";
    const verb = view.aim === null ? "flips" : "reaches target";
    this.flag.replaceChildren(make("span", "", flips ? `${verb} at ${norm.eps[view.flip]}` : "no flip"));
    this.flag.style.left = flips ? at(view.flip) : "";
    this.flag.firstChild.style.translate = flips ? `${-100 * (view.flip / last)}% 0` : "";
    this.summary.textContent = view.summary;
    this.tickKey.textContent = view.aim === null ? "prediction flipped" : "target predicted";
    this.tickKey.hidden = !flips;
  }

  paintClean() {
    const { view, data } = this;
    const { canvas, name, note } = this.panes.clean;
    this.panes.clean.paint(data.clean[view.image], data.channels);
    name.textContent = "clean";
    note.textContent = this.sayPrediction(0);
    canvas.setAttribute("aria-label", `clean image, predicted ${note.textContent}`);
    this.scaleLow.textContent = `−${view.scaleText}`;
    this.scaleHigh.textContent = `+${view.scaleText}`;
  }

  sayPrediction(level) {
    return `${this.data.classes[this.view.pred[level]]} (${this.view.predP[level].toFixed(2)})`;
  }

  /** Paint the slider's position, in the same frame as its event. */
  draw() {
    const { view, data, panes, norm } = this;
    const level = Number(this.slider.value);
    const eps = norm.eps[level];
    const noise = !this.attack.aims;
    this.paintPerturbed(level);
    panes.delta.show();
    panes.adv.show();

    const truth = data.images[view.image].y;
    const right = view.pred[level] === truth;
    const said = this.sayPrediction(level);
    const verdict = right ? "right" : `wrong (true: ${data.classes[truth]})`;
    this.root.classList.toggle("cx-at-zero", level === 0);
    this.root.classList.toggle("cx-wrong", !right);
    this.verdict.textContent = `predicted: ${said} — ${verdict}`;
    this.epsText.textContent = eps;
    panes.delta.name.textContent = noise ? "random noise" : "perturbation";
    panes.adv.name.textContent = noise ? "noisy" : "adversarial";
    panes.adv.note.textContent = panes.adv.note.title = said;
    panes.delta.canvas.setAttribute("aria-label", `${panes.delta.name.textContent} of size epsilon ${eps}, drawn on a scale of ±${view.scaleText}`);
    panes.adv.canvas.setAttribute("aria-label", `${panes.adv.name.textContent} image, predicted ${said}`);
    this.legendNow.textContent = `at ε = ${eps}`;

    const width = this.rows.length;
    this.rows.forEach(({ row, fill, value, id }, index) => {
      const p = view.p[level * width + index] / 65535;
      fill(p);
      value.textContent = p.toFixed(2);
      row.classList.toggle("cx-predicted", id === view.pred[level]);
    });
    this.slider.setAttribute("aria-valuetext", `epsilon ${eps}, predicted ${data.classes[view.pred[level]]}`);
    this.announcer.say(`epsilon ${eps}: ${this.verdict.textContent}`);
  }

  paintPerturbed(level) {
    const { view, data } = this;
    const { size, channels } = data;
    const image = data.clean[view.image];
    const frame = level === 0 ? null : view.frames.subarray((level - 1) * size, level * size);
    const toBytes = 255 * view.step[level];
    const toUnit = view.step[level] / view.scale;
    const delta = this.panes.delta.pixels.data;
    const adv = this.panes.adv.pixels.data; // a clamped array: it rounds and clips by itself
    for (let i = 0, j = 0; j < size; i += 4) {
      if (channels === 1) {
        const q = frame ? frame[j] : 0;
        const t = q * toUnit;
        const end = t < 0 ? NEGATIVE : POSITIVE;
        const a = Math.abs(t);
        const grey = image[j++] + q * toBytes;
        for (let k = 0; k < 3; k++) {
          delta[i + k] = ZERO[k] + (end[k] - ZERO[k]) * a;
          adv[i + k] = grey;
        }
      } else {
        for (let k = 0; k < 3; k++, j++) {
          const q = frame ? frame[j] : 0;
          delta[i + k] = 127.5 + 127.5 * q * toUnit;
          adv[i + k] = image[j] + q * toBytes;
        }
      }
    }
  }
}

comeAlive(".cs329t-explorer", async (root) => new EpsilonExplorer(root, await read(root)));
