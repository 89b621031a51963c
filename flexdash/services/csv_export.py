"""Rows as CSV that a spreadsheet opens without running any of it."""

import csv
import io
import re
import time
from collections.abc import Iterable, Iterator
from typing import Any

import structlog

AT_MOST = 1_000_000  # rows of a file that says its end: what a spreadsheet still opens
SECONDS_AT_MOST = 900

_FORMULA_SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"  # the last four are the full-width ones, which some take for the others
_FORMULA_STARTS = (*_FORMULA_SIGNS, "\t", "\r", "\n")
# Where a comma separates decimals, spreadsheets split at semicolons, whatever stands around them: the quotation marks
# of our cells then stand in the middle of one, and protect neither a semicolon nor a line end.
_FORMULA_AFTER_SPLIT = re.compile(rf"([;\n\r])(?=[ \u00a0\u200b\ufeff\"]*[{re.escape(_FORMULA_SIGNS)}\t])")
logger = structlog.get_logger(__name__)
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
    text = _FORMULA_AFTER_SPLIT.sub(r"\1'", text)
    beginning = text.lstrip(" \u00a0\u200b\ufeff")
    return f"'{text}" if beginning.startswith(_FORMULA_STARTS) or text.startswith(_FORMULA_STARTS) else text


def lines(headings: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Yield the file a line at a time, the heading first, so that a long export never stands in memory as a whole."""
    yield _BYTE_ORDER_MARK + _line(headings)
    for row in rows:
        yield _line(row)


def lines_with_end(headings: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Yield the file as `lines` does, and a last line that says how many rows it has and whether it was cut off.

    It is cut off after AT_MOST rows, after SECONDS_AT_MOST, and where the rows could not be read on. A file without a
    last line was cut off on its way.
    """
    yield _BYTE_ORDER_MARK + _line(headings)
    began, n_rows = time.monotonic(), 0
    try:
        for row in rows:
            if n_rows >= AT_MOST:
                yield _cut_off(n_rows, f"a file holds no more than {AT_MOST:,}")
                return
            if time.monotonic() - began > SECONDS_AT_MOST:
                yield _cut_off(n_rows, f"reading took longer than {SECONDS_AT_MOST // 60} minutes")
                return
            yield _line(row)
            n_rows += 1
    except Exception:  # the answer has begun: nothing but the file itself can still say that it is not whole
        logger.exception("an export was cut off", n_rows=n_rows)
        yield _cut_off(n_rows, "FlexDash could not read on")
        return
    yield _line([f"END OF FILE: {n_rows:,} {'row' if n_rows == 1 else 'rows'}, nothing is missing."])


def _cut_off(n_rows: int, why: str) -> str:
    return _line(
        [f"CUT OFF after {n_rows:,} {'row' if n_rows == 1 else 'rows'}: {why}. Narrow the days and export the rest."]
    )


def _line(cells: Iterable[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow([neutralised(cell) for cell in cells])
    return buffer.getvalue()
