"""Looking at a page on a desk in the light and on a phone in the dark: as axe does by WCAG 2.2 AA, and at its gaps."""

import json
from functools import cache
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize

RULES = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
    # Of what passes axe would list every element with a selector of its own, which takes longer than the rules do.
    "resultTypes": ["violations"],
    # The stylesheets are read anew for a single rule, that a page may be turned; ours have no rule about turning.
    "preload": False,
    "elementRef": True,  # `violations` says which element it is
}

# What colours and sizes decide, which is all that a phone in the dark changes for a page that was looked at on a desk.
_OF_THE_LOOK = {
    **RULES,
    "runOnly": {"type": "rule", "values": ["color-contrast", "target-size", "scrollable-region-focusable"]},
}

DESK: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 360, "height": 800}

# What nobody laid out: something right below a button, cards of one row that end at different heights, and a badge that
# is wider than its cell, which cuts it.
_GAPS = """() => {
  const found = [], place = element => element.getBoundingClientRect();
  const words = element => (element.textContent || "").trim().replace(/\\s+/g, " ").slice(0, 40);
  for (const button of document.querySelectorAll("main :is(.post-button, .form-buttons)")) {
    const next = button.nextElementSibling;
    if (!next || !place(next).height || !place(button).height) continue;
    const gap = place(next).top - place(button).bottom;
    if (gap > -2 && gap < 7) found.push(`"${words(next)}" touches the button "${words(button)}"`);
  }
  for (const grid of document.querySelectorAll("main .box-grid"))
    for (const card of grid.children)
      if (card.nextElementSibling && place(card).top === place(card.nextElementSibling).top
          && Math.abs(place(card).bottom - place(card.nextElementSibling).bottom) > 1)
        found.push(`a hole below or beside the card "${words(card)}"`);
  for (const badge of document.querySelectorAll("main .cell .state"))
    if (place(badge).right > place(badge.closest(".cell")).right + 1) found.push(`the badge "${words(badge)}" is cut`);
  return found;
}"""

# A page has a dozen colours, and axe works each out anew for every element, by way of other colour spaces. It also
# keeps the HTML of every element it looks at, which is wanted only of those that break a rule.
_QUICKER = """
axe.configure({noHtml: true});
(() => {
  const known = new Map(), colour = axe.commons.color.Color.prototype, parse = colour.parseString;
  colour.parseString = function (written) {
    const before = known.get(written);
    if (before) return Object.assign(this, before);
    parse.call(this, written);
    known.set(written, {r: this.r, g: this.g, b: this.b, alpha: this.alpha});
    return this;
  };
})();
"""

# The frame that every page of a signed-in person has: as many elements as most pages have themselves.
_WITHOUT_FRAME = {"exclude": [[".topbar"], [".sidebar"]]}


def problems(page: Page, path: str, *, without_frame: bool = False) -> list[str]:
    """Return what is wrong with the open page, in both looks: what axe finds, what is too wide, and what _GAPS finds.

    `without_frame` leaves the bar and the menu out, which are the same on another page that was looked at whole, and
    on the phone the rules that its size and its colours do not touch. Afterwards the page is as on a desk in the light.
    """
    bring_axe(page)
    found = []
    for name, size, scheme in (("phone", PHONE, "dark"), ("desk", DESK, "light")):
        page.set_viewport_size(size)
        # Without motion, or a button is still on its way from one scheme's colour to the other's.
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > size["width"]:
            found.append(f"{path}: {wide} px wide on a {name}")
        found += [f"{path} on a {name}: {gap}" for gap in page.evaluate(_GAPS)]
        rules = _OF_THE_LOOK if without_frame and size is PHONE else RULES
        broken = violations(page, without_frame=without_frame, rules=rules)
        found += [f"{path} on a {name}: {violation}" for violation in broken]
    return found


def bring_axe(page: Page) -> None:
    """Load axe into the open page, and into every one that is opened in its place; `violations` may then be asked."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_script())
        page.add_init_script(_script())  # the browser keeps it: half a megabyte need not be sent for each page


def violations(page: Page, *, without_frame: bool = False, rules: dict[str, Any] = RULES) -> list[str]:
    """Return what axe finds on the page as it is now: the rule, and the first element that breaks it."""
    context = json.dumps(_WITHOUT_FRAME) if without_frame else "document"
    found = page.evaluate(
        f"axe.run({context}, {json.dumps(rules)})"
        ".then(({violations}) => violations.map(({id, nodes}) => [id, nodes[0].element.outerHTML.slice(0, 200)]))"
    )
    return [f"{rule}: {html}" for rule, html in found]


def area(path: str) -> str:
    """Return the part of FlexDash that `path` belongs to: all its pages have the same frame, menu entry included."""
    return path.split("?")[0].split("/")[1]


@cache
def _script() -> str:
    return Axe().axe_script + _QUICKER
