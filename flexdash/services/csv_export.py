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
# Blanks and invisible marks before a sign do not hide it: some programs trim them first. What has apostrophes there
# already gets one more, so that taking one off gives back what was written.
_BLANKS = " \u00a0\u200b\ufeff"
_AT_START = rf"'*[{_BLANKS}]*[{re.escape(_FORMULA_SIGNS)}\t\r\n]"
# Where a comma separates decimals, spreadsheets split at semicolons, whatever stands around them: the quotation marks
# of our cells then stand in the middle of one, and protect neither a semicolon nor a line end.
_AFTER_SPLIT = rf"'*[{_BLANKS}\"]*[{re.escape(_FORMULA_SIGNS)}\t]"
_TO_SHIELD = re.compile(rf"\A(?={_AT_START})|(?<=[;\n\r])(?={_AFTER_SPLIT})")
_SHIELD = re.compile(rf"\A'(?={_AT_START})|(?<=[;\n\r])'(?={_AFTER_SPLIT})")
MARK = "flexdash_export"  # the column that tells files with our apostrophes from people's own, when they are uploaded
logger = structlog.get_logger(__name__)
_BYTE_ORDER_MARK = "\ufeff"  # without it Excel reads UTF-8 as the machine's own encoding


def neutralised(value: Any) -> str:
    """Return `value` as a cell; an apostrophe stands before whatever a spreadsheet would run as a formula."""
    if value is None:
        return ""
    text = str(value)
    return text if isinstance(value, int | float) else _TO_SHIELD.sub("'", text)


def restored(cell: str) -> str:
    """Return the text that `neutralised` made `cell` of."""
    return _SHIELD.sub("", cell) if "'" in cell else cell


def lines(headings: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Yield the file a line at a time, the heading first, so that a long export never stands in memory as a whole."""
    yield _BYTE_ORDER_MARK + _line(headings)
    for row in rows:
        yield _line(row)


def lines_to_upload(headings: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Yield the file as `lines` does, for people who change it and upload it again.

    Its last column, which is empty, tells the reader that apostrophes before signs are ours. In a file without it they
    are the seller's: the SKU '-A is another one than -A.
    """
    return lines([*headings, MARK], ([*row, ""] for row in rows))


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
