"""What a test does with an explorer on a page: find it, drag it, read it, time it."""

from playwright.sync_api import Locator, Page, expect

LIVE = ".cs329t-explorer[data-live=yes]"

# From the browser's own time stamp of the mouse move or key press, to the start of the frame after the one
# in which the change was painted: never too short, up to one frame too long.
TIMER = """() => {
  const before = window.cxTimes;
  window.cxTimes = [];
  if (before) return;
  let pressed = 0;
  for (const kind of ["pointermove", "pointerdown", "keydown"])
    window.addEventListener(kind, (event) => { pressed = event.timeStamp; }, true);
  document.addEventListener("input", (event) => {
    if (!event.isTrusted) return;
    const start = Math.min(pressed, event.timeStamp);
    requestAnimationFrame(() => requestAnimationFrame(() => window.cxTimes.push(performance.now() - start)));
  }, true);
}"""


def live(page: Page) -> Locator:
    """Wait for the explorer to be live and return it."""
    root = page.locator(LIVE)
    root.wait_for()
    root.scroll_into_view_if_needed()
    return root


def slider(root: Locator) -> Locator:
    return root.locator("input[type=range]")


def verdict(root: Locator) -> str:
    return root.locator(".cx-verdict").inner_text()


def flip_level(root: Locator) -> int:
    """The slider position at which the prediction flips, as the page's own data has it."""
    return root.evaluate("root => root.widget.view.flip")


def drag(page: Page, root: Locator, passes: int = 5, moves: int = 40) -> None:
    """Drag the slider's thumb from end to end and back with the mouse."""
    track = slider(root)
    track.scroll_into_view_if_needed()
    track.evaluate("node => { node.value = 0; node.dispatchEvent(new Event('input')); }")
    box = track.bounding_box()
    y = box["y"] + box["height"] / 2
    left, right = box["x"] + 10, box["x"] + box["width"] - 10
    page.mouse.move(left, y)
    page.mouse.down()
    for number in range(passes):
        start, end = (left, right) if number % 2 == 0 else (right, left)
        for i in range(1, moves + 1):
            page.mouse.move(start + (end - start) * i / moves, y)
    page.mouse.up()


def p95(times: list[float]) -> float:
    return sorted(times)[int(0.95 * (len(times) - 1) + 0.5)]


def check_drags(page: Page, where: str, limit_ms: float = 50) -> float:
    """Assert that mouse and arrow keys move the slider past the flip, and fast enough; return p95 in ms."""
    root = live(page)
    page.evaluate(TIMER)
    drag(page, root)
    expect(slider(root)).to_have_js_property("value", slider(root).get_attribute("max"))

    flip = flip_level(root)
    assert flip > 0
    slider(root).focus()
    page.keyboard.press("Home")
    clean = verdict(root)
    assert "— right" in clean
    for level in range(1, flip + 1):
        page.keyboard.press("ArrowRight")
        said = verdict(root)
        assert ("— right" in said) == (level < flip), (level, said)
    assert "wrong (true: 7)" in verdict(root)
    assert slider(root).get_attribute("aria-valuetext").startswith("epsilon 0.")
    page.wait_for_timeout(100)

    times = page.evaluate("() => window.cxTimes")
    assert len(times) >= 60, f"{where}: only {len(times)} input events"
    print(f"{where}: input to painted frame, n={len(times)}, p95 {p95(times):.1f} ms, max {max(times):.1f} ms")
    assert p95(times) <= limit_ms
    return p95(times)


def contrasts(root: Locator, panel: str = ".page-panel") -> dict[str, float]:
    """Return the WCAG contrast ratio of each visible text against the background behind it."""
    return root.evaluate(
        """(root, panel) => {
      const parse = (text) => {
        const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
        return { rgb: [r, g, b], a };
      };
      const behind = (node) => {
        for (; node; node = node.parentElement) {
          const { rgb, a } = parse(getComputedStyle(node).backgroundColor);
          if (a === 1) return rgb;
        }
        return [255, 255, 255];
      };
      const luminance = (rgb) => {
        const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const found = {};
      const walker = document.createTreeWalker(root.querySelector(panel), NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) {
        const node = walker.currentNode.parentElement;
        const hidden = node.closest('.page-hidden') || !node.checkVisibility();
        if (!walker.currentNode.data.trim() || hidden) continue;
        const [a, b] = [luminance(parse(getComputedStyle(node).color).rgb), luminance(behind(node))];
        found[`${Object.keys(found).length} ${walker.currentNode.data}`] =
          (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      }
      return found;
    }""",
        panel,
    )
