"""The labels of a table's cells, for phones, where rows become cards."""

import re
from collections.abc import Sequence

from markupsafe import Markup, escape

_ROW_OR_CELL = re.compile(r"<(tr|td|th)\b([^>]*)>|</(?:td|th)>")
_COLSPAN = re.compile(r'\bcolspan="(\d+)"')
_ROLES = {"tr": "row", "td": "cell", "th": "rowheader"}


def label_cells(rows: str, headings: Sequence[str | tuple[str, str]]) -> str:
    """Return the table `rows` with each cell carrying its column's heading as `data-label`.

    On a phone the rows become cards and the labels stand before the values, which a `div` holds together; the roles
    keep it a table for those who hear it, because a changed `display` would take that away.
    """
    labels = [escape(heading if isinstance(heading, str) else heading[0]) for heading in headings]
    position = 0

    def _label(match: re.Match[str]) -> str:
        nonlocal position
        tag, attributes = match.groups()
        if tag is None:
            return f"</div>{match.group()}"
        role = "" if "role=" in attributes else f' role="{_ROLES[tag]}"'
        if tag == "tr":
            position = 0
            return f"<tr{attributes}{role}>"
        span = _COLSPAN.search(attributes)
        label = labels[position] if position < len(labels) and not span else ""
        position += int(span.group(1)) if span else 1
        return f'<{tag}{attributes}{role} data-label="{label}"><div class="cell">'

    return Markup(_ROW_OR_CELL.sub(_label, rows))  # noqa: S704 (the rows were escaped when they were rendered)
