// The patch explorer: draws a photograph with a patch and shows predictions computed beforehand. No kernel, no network.
// Python (patch_explorer.py) writes the data: cells[size][down][across] is a list of [class, per mille].

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

async function load(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

const percent = (share) => (share >= 995 ? ">99%" : share < 5 ? "<1%" : `${Math.round(share / 10)}%`);

class PatchExplorer {
  constructor(root, data, photo, patch) {
    Object.assign(this, { data, photo, patch, size: data.start.size, across: data.start.across, down: data.start.down, on: true });
    this.canvas = make("canvas", "cp-canvas");
    Object.assign(this.canvas, { width: data.width, height: data.height, tabIndex: 0 });
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-label", `${data.photo}, with a patch. Arrow keys move the patch.`);
    this.verdict = make("div", "cp-verdict");
    this.verdict.setAttribute("aria-live", "polite");
    this.bars = make("div", "cp-bars");
    const side = make("div", "cp-side", this.verdict, this.bars, this.controls(), make("p", "page-note", data.note));
    openPanel(root, data.title, make("div", "cp-body", this.canvas, side));
    this.listen();
    this.draw();
  }

  controls() {
    const sizes = this.data.sizes.map((value) => `${value} pixels across`);
    const size = menu(sizes, this.size, (i) => { this.size = i; this.draw(); });
    size.setAttribute("aria-label", "size of the patch");
    const on = checkbox((checked) => { this.on = checked; this.draw(); });
    return make("div", "cp-controls", size, make("label", "", on, " patch"));
  }

  listen() {
    const { canvas } = this;
    const move = (event) => this.go(...pointIn(canvas, event, this.data.width, this.data.height));
    canvas.onpointerdown = (event) => { canvas.setPointerCapture(event.pointerId); this.dragging = true; move(event); };
    canvas.onpointermove = (event) => { if (this.dragging) move(event); };
    canvas.onpointerup = canvas.onpointercancel = () => { this.dragging = false; };
  }

  step(across, down) {
    const last = this.data.places[0].length - 1;
    this.across = clamp(this.across + across, 0, last);
    this.down = clamp(this.down + down, 0, last);
    this.draw();
  }

  go(x, y) {
    const places = this.data.places[this.size];
    [this.across, this.down] = [nearest(places, x), nearest(places, y)];
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
      const { node, fill } = bar(`cp-bar${name === data.target ? " cp-aim" : ""}`, make("span", "cp-name", `${data.classes[name]} ${percent(p)}`));
      fill(p / 1000);
      return node;
    }));
  }

  onKey(event) {
    if (event.target !== this.canvas || !(event.key in STEPS)) return false;
    this.step(...STEPS[event.key]);
    return true;
  }
}

comeAlive(".cs329t-patch", async (root) => {
  const data = readJson(root);
  return new PatchExplorer(root, data, ...(await Promise.all([load(data.photoPng), load(data.patchPng)])));
});
