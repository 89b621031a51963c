"""Rows as CSV that a spreadsheet opens without running any of it."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import Any

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
# Where a comma separates decimals, spreadsheets split cells at semicolons, whatever stands around them.
_FORMULA_AFTER_SEMICOLON = re.compile(r";(?=[ \u00a0\u200b\ufeff\"]*[=+\-@\t\r\n])")
_BYTE_ORDER_MARK = "\ufeff"  # without it Excel reads UTF-8 as the machine's own encoding


def neutralised(value: Any) -> str:
    """Return `value` as a cell; a text that a spreadsheet would run as a formula starts with an apostrophe.

    Blanks and invisible marks before the sign do not hide it: some programs trim them first.
    """
    if value is None:
        return ""
    text = str(value)
    if isinstance(value, int | float):
        return text
    text = _FORMULA_AFTER_SEMICOLON.sub(";'", text)
    beginning = text.lstrip(" \u00a0\u200b\ufeff")
    return f"'{text}" if beginning.startswith(_FORMULA_STARTS) or text.startswith(_FORMULA_STARTS) else text


def lines(headings: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Yield the file a line at a time, the heading first, so that a long export never stands in memory as a whole."""
    yield _BYTE_ORDER_MARK + _line(headings)
    for row in rows:
        yield _line(row)


def _line(cells: Iterable[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow([neutralised(cell) for cell in cells])
    return buffer.getvalue()
