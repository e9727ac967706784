"""A page in a real browser: what overflows, what can hardly be read, what the console says; and pictures of it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
WIDTHS = (390, 1280)
MODES = {"light": 1, "dark": 0}
"""As Blink counts preferred colour schemes."""

LOOK = """
const seen = [];
const rgb = (text) => {
  const n = (text.match(/[\\d.]+(e-?\\d+)?/g) || []).map(Number);
  const scaled = text.startsWith('color(') ? n.slice(0, 3).map((v) => 255 * v) : n.slice(0, 3);
  return [...scaled, n.length > 3 ? n[3] : 1];
};
const light = (c) => {
  const [r, g, b] = c.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const back = rgb(getComputedStyle(at).backgroundColor);
    if (back[3] > 0) return back;
  }
  return [255, 255, 255, 1];
};
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const low = [];
let least = 99, texts = 0;
while (walk.nextNode()) {
  const node = walk.currentNode, element = node.parentElement;
  if (!node.data.trim() || !element.checkVisibility() || element.closest('.hidden, .skip, title')) continue;
  const style = getComputedStyle(element), inSvg = element.namespaceURI.endsWith('svg');
  const box = inSvg && element.closest('g') && element.closest('g').querySelector('rect');
  const ink = rgb(inSvg ? style.fill : style.color), back = box ? rgb(getComputedStyle(box).fill) : behind(element);
  const [a, b] = [light(ink.slice(0, 3)), light(back.slice(0, 3))].sort((x, y) => y - x);
  const contrast = (a + 0.05) / (b + 0.05);
  texts += 1;
  least = Math.min(least, contrast);
  if (contrast < 4.5) low.push(`${contrast.toFixed(2)}: ${node.data.trim().slice(0, 40)}`);
}
const root = document.documentElement, wide = [];
for (const element of document.querySelectorAll('body *')) {
  if (element.closest('.scroll, pre, .hidden, .skip, svg')) continue;
  if (element.getBoundingClientRect().right > root.clientWidth + 1) wide.push(element.outerHTML.slice(0, 80));
}
const found = {width: root.clientWidth, scroll: root.scrollWidth, least, texts, low: low.slice(0, 5),
  wide: wide.slice(0, 5),
               height: root.scrollHeight};
parent.postMessage(found, '*');
"""


def browser() -> str:
    """The browser on this machine, or an empty text."""
    return next((path for name in NAMES if (path := shutil.which(name))), "")


WRAPPER = """<!doctype html><html><head><meta name="color-scheme" content="light dark"></head><body>
<iframe style="width:{width}px;height:900px;border:0" srcdoc="{page}"></iframe><pre id="looked-at"></pre>
<script>
onmessage = (told) => {{ document.querySelector('pre').textContent = JSON.stringify(told.data); }};
</script></body></html>"""


def look(page: Path, width: int, mode: str, folder: Path) -> dict[str, Any]:
    """What is seen of a page at this width: sizes, the least contrast of any text, and what sticks out.

    The page itself may run no script: a copy that does is looked at, in a frame, as windows cannot be as narrow as
    phones.
    """
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"))
    # Folded parts are seen too.
    script = "onload = () => {document.querySelectorAll('details').forEach((one) => (one.open = true));" + LOOK + "};"
    framed = html.escape(text.replace("</body>", f"<script>{script}</script></body>"))
    file = folder / f"looked-at-{page.stem}.html"
    file.write_text(WRAPPER.format(width=width, page=framed), encoding="utf-8")
    dom = _run(
        [f"--window-size={max(WIDTHS) + 100},1000", "--virtual-time-budget=10000", "--dump-dom", file.as_uri()],
        folder,
        mode,
    ).stdout
    marked = re.search(r'<pre id="looked-at">(.+?)</pre>', dom, re.S)
    assert marked, "the page did not come to its end in the browser"
    found: dict[str, Any] = json.loads(html.unescape(marked[1]))
    return found


def console(page: Path, folder: Path) -> list[str]:
    """What the browser has to say of the page as it is: errors, and what its policy forbade."""
    done = _run(["--enable-logging=stderr", "--v=0", "--dump-dom", page.as_uri()], folder, "light")
    return [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


def picture(page: Path, width: int, mode: str, height: int, file: Path, folder: Path) -> None:
    """The page from its top, as high as asked for."""
    _run([f"--window-size={width},{height}", f"--screenshot={file}", page.as_uri()], folder, mode)


def _run(arguments: list[str], folder: Path, mode: str) -> subprocess.CompletedProcess[str]:
    fixed = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--no-first-run",
        "--disable-background-networking",
        f"--user-data-dir={folder / 'profile'}",
        f"--blink-settings=preferredColorScheme={MODES[mode]}",
    ]
    return subprocess.run([browser(), *fixed, *arguments], capture_output=True, text=True, check=True, timeout=900)
