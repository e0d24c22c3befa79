// The patch explorer: draws a photograph with a patch and shows predictions computed beforehand. No kernel, no network.
// Python (patch_explorer.py) writes the data: cells[size][down][across] is a list of [class, per mille].
(() => {
  "use strict";

  function make(tag, className = "", text = "") {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text) node.textContent = text;
    return node;
  }

  async function picture(source) {
    const image = new Image();
    image.src = source;
    await image.decode();
    return image;
  }

  const percent = (share) => (share >= 995 ? ">99%" : share < 5 ? "<1%" : `${Math.round(share / 10)}%`);

  class PatchExplorer {
    constructor(root, data, photo, patch) {
      Object.assign(this, { data, photo, patch, size: data.start.size, across: data.start.across, down: data.start.down, on: true });
      this.canvas = make("canvas", "cp-canvas");
      this.canvas.width = data.width;
      this.canvas.height = data.height;
      this.canvas.tabIndex = 0;
      this.canvas.setAttribute("role", "application");
      this.canvas.setAttribute("aria-label", `${data.photo}, with a patch. Arrow keys move the patch.`);
      this.verdict = make("div", "cp-verdict");
      this.verdict.setAttribute("aria-live", "polite");
      this.bars = make("div", "cp-bars");
      const panel = make("div", "cp-panel");
      const body = make("div", "cp-body");
      const side = make("div", "cp-side");
      side.append(this.verdict, this.bars, this.controls(), make("p", "cp-note", data.note));
      body.append(this.canvas, side);
      panel.append(make("div", "cp-title", data.title), body);
      root.querySelector(".cp-static").replaceWith(panel);
      this.listen();
      this.draw();
    }

    controls() {
      const box = make("div", "cp-controls");
      const size = make("select");
      size.setAttribute("aria-label", "size of the patch");
      this.data.sizes.forEach((value, i) => size.add(new Option(`${value} pixels across`, i, false, i === this.size)));
      size.onchange = () => { this.size = Number(size.value); this.draw(); };
      const on = make("input");
      on.type = "checkbox";
      on.checked = true;
      on.onchange = () => { this.on = on.checked; this.draw(); };
      const label = make("label", "", " patch");
      label.prepend(on);
      box.append(size, label);
      return box;
    }

    listen() {
      const { canvas } = this;
      const move = (event) => {
        const box = canvas.getBoundingClientRect();
        this.go(((event.clientX - box.left) / box.width) * this.data.width, ((event.clientY - box.top) / box.height) * this.data.height);
      };
      canvas.onpointerdown = (event) => { canvas.setPointerCapture(event.pointerId); this.dragging = true; move(event); };
      canvas.onpointermove = (event) => { if (this.dragging) move(event); };
      canvas.onpointerup = canvas.onpointercancel = () => { this.dragging = false; };
    }

    step(across, down) {
      const within = (place) => Math.min(this.data.places[0].length - 1, Math.max(0, place));
      this.across = within(this.across + across);
      this.down = within(this.down + down);
      this.draw();
    }

    go(x, y) {
      const places = this.data.places[this.size];
      const nearest = (value) => places.reduce((best, place, i) => (Math.abs(place - value) < Math.abs(places[best] - value) ? i : best), 0);
      [this.across, this.down] = [nearest(x), nearest(y)];
      this.draw();
    }

    draw() {
      const { data } = this;
      const pen = this.canvas.getContext("2d");
      pen.drawImage(this.photo, 0, 0, data.width, data.height);
      const side = data.sizes[this.size], places = data.places[this.size];
      if (this.on) pen.drawImage(this.patch, places[this.across] - side / 2, places[this.down] - side / 2, side, side);
      const cell = this.on ? data.cells[this.size][this.down][this.across] : data.clean;
      const [best, share] = cell[0];
      this.verdict.textContent = `${data.classes[best]} (${percent(share)})${best === data.target ? ": target reached" : ""}`;
      this.bars.replaceChildren(...cell.map(([name, p]) => {
        const bar = make("div", `cp-bar${name === data.target ? " cp-aim" : ""}`);
        const fill = make("span", "cp-fill");
        fill.style.width = `${p / 10}%`;
        bar.append(fill, make("span", "cp-name", `${data.classes[name]} ${percent(p)}`));
        return bar;
      }));
    }
  }

  /* JupyterLab listens on the document, in the capture phase, where an arrow key selects another cell: so we listen on
   * the window, which comes before. Shift+Enter, Ctrl+S and the like pass. */
  function shieldKeys() {
    if (window.cs329tPatchKeys) return;
    window.cs329tPatchKeys = true;
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    window.addEventListener("keydown", (event) => {
      const passes = event.ctrlKey || event.metaKey || event.altKey || (event.shiftKey && event.key === "Enter");
      const root = event.target instanceof Element ? event.target.closest(".cs329t-patch") : null;
      if (passes || !root) return;
      event.stopPropagation();
      if (!event.target.matches(".cp-canvas") || !root.explorer || !(event.key in steps)) return;
      event.preventDefault();
      root.explorer.step(...steps[event.key]);
    }, true);
  }

  async function start(root) {
    if (!root || root.dataset.live) return;
    shieldKeys();
    root.dataset.live = "loading";
    const data = JSON.parse(root.querySelector(".cp-data").textContent);
    const [photo, patch] = await Promise.all([picture(data.photoPng), picture(data.patchPng)]);
    root.explorer = new PatchExplorer(root, data, photo, patch);
    root.dataset.live = "yes";
  }

  const own = document.currentScript && document.currentScript.closest(".cs329t-patch");
  if (own) start(own);
  else document.querySelectorAll(".cs329t-patch:not([data-live])").forEach(start);
})();
