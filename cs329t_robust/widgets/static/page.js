// What all pages share: reading their data, nodes, bars, sliders, menus, pictures, the keyboard, and coming alive.
// Python (page.py) puts this text before a widget's own, inside one function: nothing here is global, so that several
// widgets, and several copies of one, can stand on a page. What must be one for the page is kept on `window`.

const REST_MS = 300; // a screen reader hears where a slider came to rest, not every step

function make(tag, className = "", ...inside) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...inside);
  return node;
}

/* Make an SVG node. */
function shape(tag, attributes, ...inside) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...inside);
  return node;
}

/* An id that no other node of the page has. */
function uniqueId() {
  window.cs329tSerial = (window.cs329tSerial ?? 0) + 1;
  return `cs329t-${window.cs329tSerial}`;
}

// ---- data

function readJson(root) {
  return JSON.parse(root.querySelector(".page-data").textContent);
}

/* Read what `Block.pack` wrote: the header, and the bytes that it points into. */
async function unpack(root) {
  const packed = Uint8Array.from(atob(root.querySelector(".page-data").textContent.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  const start = 4 + new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, start - 4)));
  return { header, body: buffer.slice(start) };
}

// ---- parts of a page

/* Put a titled panel in the place of the still picture that Python wrote. */
function openPanel(root, title, ...inside) {
  const panel = make("div", "page-panel", make("div", "page-title", title), ...inside);
  panel.setAttribute("role", "group");
  panel.setAttribute("aria-label", title);
  root.querySelector(".page-static").replaceWith(panel);
  return panel;
}

/* A line for screen readers only. */
class Announcer {
  constructor() {
    this.node = make("div", "page-hidden");
    this.node.setAttribute("aria-live", "polite");
  }

  say(text, wait = REST_MS) {
    clearTimeout(this.waiting);
    const speak = () => { if (this.node.textContent !== text) this.node.textContent = text; };
    if (wait) this.waiting = setTimeout(speak, wait);
    else speak();
  }
}

/* A menu; `changed` is called with the number of the option. */
function menu(options, chosen, changed) {
  const select = make("select");
  options.forEach((text, i) => select.add(new Option(text, i)));
  select.value = chosen;
  select.addEventListener("change", () => changed(Number(select.value)));
  return select;
}

/* A slider with `settings` such as min, max, step, value (last); `moved` is called with its value. */
function slider(settings, moved) {
  const input = make("input");
  Object.assign(input, { type: "range", ...settings });
  input.addEventListener("input", () => moved(Number(input.value)));
  return input;
}

function checkbox(changed) {
  const input = make("input");
  Object.assign(input, { type: "checkbox", checked: true });
  input.addEventListener("change", () => changed(input.checked));
  return input;
}

function button(className, text, act) {
  const node = make("button", className, ...[text].flat());
  node.type = "button";
  node.addEventListener("click", act);
  return node;
}

/* A bar with what stands on it, and how to fill it to a share in [0, 1]. */
function bar(className, ...inside) {
  const filled = make("div", "page-fill");
  const node = make("div", className, filled, ...inside);
  return { node, fill: (share) => { filled.style.transform = `scaleX(${share})`; } };
}

/* A canvas that is painted pixel by pixel. */
class Picture {
  constructor(width, height, className = "") {
    this.canvas = make("canvas", className);
    Object.assign(this.canvas, { width, height });
    this.context = this.canvas.getContext("2d");
    this.pixels = this.context.createImageData(width, height);
    this.pixels.data.fill(255);
  }

  /* Show bytes (height, width, channels), grey or in colour. */
  paint(bytes, channels) {
    const { data } = this.pixels;
    for (let i = 0, j = 0; j < bytes.length; i += 4, j += channels)
      for (let k = 0; k < 3; k++) data[i + k] = bytes[channels === 1 ? j : j + k];
    this.show();
  }

  show() {
    this.context.putImageData(this.pixels, 0, 0);
  }

  clear() {
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }
}

// ---- pointer and keyboard

/* Where in a node an event happened, in units in which the node is `width` by `height`. */
function pointIn(node, event, width, height) {
  const box = node.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
}

/* The number of the value nearest to `value`. */
function nearest(values, value) {
  return values.reduce((best, one, i) => (Math.abs(one - value) < Math.abs(values[best] - value) ? i : best), 0);
}

function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

/* Keep plain keys from JupyterLab, which would select another cell on an arrow, and delete one on "d d". It listens on
 * the document, in the capture phase: so we listen on the window, which comes before. Ctrl+S, Shift+Enter and the like
 * pass. A widget's `onKey` says whether it used the key; what it did not use is left to the browser. */
function guardKeys() {
  if (window.cs329tKeysGuarded) return;
  window.cs329tKeysGuarded = true;
  window.addEventListener("keydown", (event) => {
    const passes = event.ctrlKey || event.metaKey || event.altKey || (event.shiftKey && event.key === "Enter");
    const root = event.target instanceof Element ? event.target.closest(".cs329t-page") : null;
    if (passes || !root) return;
    event.stopPropagation();
    if (root.widget?.onKey?.(event)) event.preventDefault();
  }, true);
}

// ---- coming alive

/* Build the widget of the page that holds this script, or of all that are not alive yet; it is the root's `widget`. */
function comeAlive(selector, build) {
  const start = async (root) => {
    if (root.dataset.live) return;
    root.dataset.live = "loading";
    guardKeys();
    try {
      root.widget = await build(root);
      root.dataset.live = "yes";
    } catch (error) {
      root.dataset.live = "failed";
      const hint = root.querySelector(".page-hint");
      if (hint) hint.textContent = `This needs a browser from 2023 or later (${error.message}).`;
      throw error;
    }
  };
  const own = document.currentScript?.closest(selector);
  if (own) start(own);
  else document.querySelectorAll(`${selector}:not([data-live])`).forEach(start);
}
