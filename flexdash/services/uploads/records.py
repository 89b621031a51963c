"""From the text of an uploaded file to its rows: the delimiter, the header, and quotation marks that do not match."""

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import StringIO

from flexdash.services.csv_export import MARK, restored
from flexdash.services.uploads.encodings import LONGEST_LINE, NotUsable
from flexdash.services.words import listed, quoted

DELIMITERS = {",": "Comma", ";": "Semicolon", "\t": "Tab"}
MOST_COLUMNS = 200
# Of one row over several lines, within quotation marks; more of them mean a mark that was never closed.
MOST_LINES_OF_A_ROW = 100
MOST_CHARACTERS_OF_A_ROW = 200_000

_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\n', re.IGNORECASE)
_NEVER_CLOSED = (
    "A quotation mark opens in this row and is not closed where it should be. Write a mark that belongs to a text "
    'twice (""), or leave it out.'
)
_NOT_DOUBLED = 'A quotation mark stands in the middle of a quoted cell. Write it twice (""), or leave it out.'
_CELL_TOO_LONG = "A cell of this row is far too long to be read."
_LINE_TOO_LONG = f"This row is longer than {LONGEST_LINE:,} characters, too long to be read."


@dataclass(frozen=True)
class Header:
    """The file's first row: the cells as they are written, and where the rows below it begin."""

    delimiter: str
    cells: list[str]
    n_rows: int  # up to and with the header, as a spreadsheet counts
    n_characters: int  # of the first block, up to the end of the header

    @property
    def names(self) -> list[str]:
        """The columns that the cells name."""
        return [name_of(cell) for cell in self.cells]

    @property
    def is_of_export(self) -> bool:
        """Whether FlexDash wrote the file, with apostrophes before what a spreadsheet would run as a formula."""
        return MARK in self.names


@dataclass
class Records:
    """Consecutive rows of the file. Of a broken one there is its line as the only cell, and a reason."""

    rows: list[list[str]] = field(default_factory=list)
    broken: dict[int, str] = field(default_factory=dict)  # by position in `rows`


def name_of(cell: str) -> str:
    """Return the column that a cell of a header names, whatever its case and blanks: “ SKU Code ” is `sku_code`."""
    return re.sub(r"[\s_-]+", "_", cell.strip()).lower()


def read_header(text: str, known: Sequence[str], required: Sequence[str], delimiter: str = "") -> Header:
    """Return the header at the beginning of `text`.

    Its delimiter is the one that finds most of the `known` columns, unless it is given. Raises NotUsable when there is
    no header, when a `required` column is missing, or when one is there twice.
    """
    separator = _SEPARATOR_LINE.match(text)  # a line with which some files tell Excel their delimiter
    if separator and not delimiter and separator[1] in DELIMITERS:
        delimiter = separator[1]
    start = separator.end() if separator else 0
    if not text[start:].strip("".join(DELIMITERS) + ' \n"'):
        raise NotUsable("The file is empty: it has neither a row with the names of the columns nor any other.")
    tried = [_first_row(text, start, candidate) for candidate in ([delimiter] if delimiter else DELIMITERS)]
    headers = [header for header in tried if header]
    if not headers:
        raise NotUsable(
            "The first row cannot be read: a quotation mark in it does not match, or it is far too long. It has to "
            f"name the columns, {listed(list(required))} among them."
        )
    header = max(headers, key=lambda one: sum(name in known for name in one.names))
    _check(header, required)
    return header


class RecordReader:
    """Reads rows out of blocks of text; a row that goes on in the next block is kept until then.

    A quotation mark that opens and is not closed costs the row it stands in: reading goes on at the next line.
    """

    def __init__(self, delimiter: str, n_cells: int, *, is_export: bool = False) -> None:
        """Read rows of `n_cells`; with `is_export`, take off the apostrophes that our exports put before signs."""
        self._delimiter, self._n_cells, self._is_export = delimiter, n_cells, is_export
        self._pending: list[str] = []

    def read(self, text: str, is_end: bool = False) -> Records:
        """Return the rows that are complete with `text`, which holds whole lines; at the end, all that is left."""
        records = Records()
        may_be_shielded = self._is_export and (bool(self._pending) or "'" in text)
        if self._pending or _has_too_long_line(text):
            self._read_with_care(self._pending + _lines(text), records, is_end)
        elif '"' not in text:
            records.rows = [line.split(self._delimiter) for line in text.split("\n")[:-1]]
        elif (rows := self._read_plainly(text)) is not None:
            records.rows = rows
        else:
            self._read_with_care(_lines(text), records, is_end)
        if may_be_shielded:
            records.rows = [[restored(cell) for cell in row] for row in records.rows]
        return records

    def _read_plainly(self, text: str) -> list[list[str]] | None:
        """Return the rows when each is one line long and none is broken, which makes for a quick read."""
        reader = csv.reader(StringIO(text, newline="\n"), delimiter=self._delimiter, strict=True)
        try:
            rows = list(reader)
        except csv.Error:
            return None
        return rows if reader.line_num == len(rows) else None

    def _read_with_care(self, lines: list[str], records: Records, is_end: bool) -> None:
        self._pending = []
        start = 0
        while start < len(lines):
            start = self._read_from(lines, start, records, is_end)

    def _read_from(self, lines: list[str], start: int, records: Records, is_end: bool) -> int:
        """Read rows from line `start` on until one is broken; return the line where reading has to go on."""
        n_before = 0  # lines from `start` to the end of the last whole row

        def lines_of_rows() -> Iterator[str]:
            # A mark that is never closed would else have the whole block read, for each row that has one.
            n_characters = 0
            for at in range(start, len(lines)):
                n_of_row = at - start - n_before
                if len(lines[at]) > LONGEST_LINE + 1:
                    return
                if not n_of_row:
                    n_characters = 0
                elif n_of_row >= MOST_LINES_OF_A_ROW or n_characters > MOST_CHARACTERS_OF_A_ROW:
                    return
                n_characters += len(lines[at])
                yield lines[at]

        reader = csv.reader(lines_of_rows(), delimiter=self._delimiter, strict=True)
        reason = ""
        try:
            for row in reader:
                if reader.line_num - n_before > 1 and not is_of_width(row, self._n_cells):
                    reason = _NEVER_CLOSED
                    break
                records.rows.append(row)
                n_before = reader.line_num
        except csv.Error as error:
            begun = lines[start + n_before : start + reader.line_num]
            if "unexpected end" in str(error):
                if start + reader.line_num == len(lines) and not is_end:
                    self._pending = begun
                    return len(lines)
                reason = _NEVER_CLOSED
            elif "field limit" in str(error):
                reason = _CELL_TOO_LONG if len(begun) == 1 else _NEVER_CLOSED
            else:
                reason = _NOT_DOUBLED if len(begun) == 1 else _NEVER_CLOSED
        at = start + n_before
        if not reason:
            if at == len(lines):
                return at
            reason = _LINE_TOO_LONG
        records.broken[len(records.rows)] = reason
        records.rows.append([lines[at].rstrip("\n")])
        return at + 1


def is_of_width(row: list[str], n_cells: int) -> bool:
    """Say whether a row has as many cells as the header; blank cells behind them do not count."""
    return len(row) == n_cells or (len(row) > n_cells and not any(cell.strip() for cell in row[n_cells:]))


def _has_too_long_line(text: str) -> bool:
    return len(text) > LONGEST_LINE and any(len(line) > LONGEST_LINE for line in text.split("\n"))


def _lines(text: str) -> list[str]:
    return [f"{line}\n" for line in text.split("\n")[:-1]]


def _first_row(text: str, start: int, delimiter: str) -> Header | None:
    n_characters = start

    def lines() -> Iterator[str]:
        nonlocal n_characters
        source = StringIO(text, newline="\n")
        source.seek(start)
        for line in source:
            if len(line) > LONGEST_LINE + 1:
                raise csv.Error(_LINE_TOO_LONG)
            n_characters += len(line)
            yield line

    n_rows = text.count("\n", 0, start)
    with suppress(csv.Error):
        for cells in csv.reader(lines(), delimiter=delimiter, strict=True):
            n_rows += 1
            if any(cell.strip() for cell in cells):
                return Header(delimiter, cells, n_rows, n_characters)
    return None


def _check(header: Header, required: Sequence[str]) -> None:
    names = header.names
    if len(names) > MOST_COLUMNS:
        raise NotUsable(
            f"The first row has {len(names):,} cells, so it cannot be the names of the columns. Leave at most "
            f"{MOST_COLUMNS} columns in the file, the first row with their names."
        )
    if missing := [name for name in required if name not in names]:
        found = [quoted(cell.strip(), 30) for cell in header.cells if cell.strip()]
        shown = listed([*found[:8], f"{len(found) - 8} more"] if len(found) > 8 else found)
        raise NotUsable(
            f"The file has no column {listed(missing)}. Its first row has to name {listed(list(required))}, and it "
            f"names {shown}."
        )
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise NotUsable(
            f"The first row names the column {listed(twice)} more than once, so FlexDash cannot know which one counts. "
            "Take the others out."
        )
