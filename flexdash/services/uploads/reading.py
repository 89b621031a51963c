"""Reading an uploaded file as a stream: batches of checked rows, in memory that does not grow with the file."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from flexdash.services.uploads import encodings
from flexdash.services.uploads.columns import Column, read_cells
from flexdash.services.uploads.records import Header, RecordReader, Records, is_of_width, read_header
from flexdash.services.words import one_line, shortened

ROWS_PER_BATCH = 12_000
CHARACTERS_PER_BATCH = 1_500_000  # of wide rows there are fewer in a batch
MAX_REASON, MAX_TEXT = 300, 2_000  # as long as UploadRow's columns


@dataclass(frozen=True)
class RefusedRow:
    """A row that cannot be used: what can be told of its SKU, why, and its cells as JSON."""

    row_number: int
    sku_code: str | None
    reason: str
    text: str


@dataclass
class Batch:
    """Some rows in the order of the file: the values of the good ones by field, and the refused ones."""

    row_numbers: Sequence[int]
    values: dict[str, Sequence[str | None]]
    refused: list[RefusedRow]
    n_bytes_read: int

    @property
    def n_rows(self) -> int:
        """How many rows there are; blank ones do not count."""
        return len(self.row_numbers) + len(self.refused)


@dataclass
class _Collected:
    rows: list[list[str]] = field(default_factory=list)
    broken: dict[int, str] = field(default_factory=dict)

    def add(self, records: Records) -> None:
        self.broken |= {len(self.rows) + position: reason for position, reason in records.broken.items()}
        self.rows += records.rows


class FileReader:
    """Reads one file of `columns`. Both the constructor and `batches` raise NotUsable for the file as a whole.

    `encoding` and `delimiter` are found unless they are given, and can be read here afterwards.
    """

    def __init__(
        self, chunks: Iterable[bytes], columns: Sequence[Column], *, encoding: str = "", delimiter: str = ""
    ) -> None:
        chunks = iter(chunks)
        first = next(chunks, b"")
        self.encoding = encoding or encodings.marked_encoding(first) or "utf-8"
        self._blocks = encodings.blocks(_put_back(first, chunks), self.encoding)
        self._first = next(self._blocks, encodings.Block("", 0))
        self.header: Header = read_header(
            self._first.text,
            [column.name for column in columns],
            [column.name for column in columns if column.is_required],
            delimiter,
        )
        self.delimiter = self.header.delimiter
        names = self.header.names
        self._columns = [(column, names.index(column.name)) for column in columns if column.name in names]
        self._n_needed = 1 + max(index for column, index in self._columns if column.is_required)

    @property
    def fields(self) -> list[str]:
        """The fields of UploadRow that the file gives."""
        return [column.field for column, _ in self._columns if column.field]

    def header_as_json(self) -> str:
        """Return the cells of the header as they are kept with the rows."""
        return as_json(self.header.cells, [index for _, index in self._columns])

    def batches(self) -> Iterator[Batch]:
        """Yield the rows below the header."""
        reader = RecordReader(self.delimiter, len(self.header.cells), is_export=self.header.is_of_export)
        next_number = self.header.n_rows + 1
        collected = _Collected()
        collected.add(reader.read(self._first.text[self.header.n_characters :]))
        n_read, n_characters = self._first.n_bytes_read, len(self._first.text)
        for block in self._blocks:
            collected.add(reader.read(block.text))
            n_read, n_characters = block.n_bytes_read, n_characters + len(block.text)
            if len(collected.rows) >= ROWS_PER_BATCH or n_characters >= CHARACTERS_PER_BATCH:
                yield self._check(collected, next_number, n_read)
                next_number += len(collected.rows)
                collected, n_characters = _Collected(), 0
        collected.add(reader.read("", is_end=True))
        yield self._check(collected, next_number, n_read)

    def _check(self, collected: _Collected, first_number: int, n_bytes_read: int) -> Batch:
        rows, numbers, refused = self._of_right_width(collected, first_number)
        cells = list(zip(*rows, strict=True))
        values: dict[str, Sequence[str | None]] = {}
        problems: dict[int, list[str]] = {}
        for column, index in self._columns:
            read = read_cells(column, cells[index] if cells else ())
            if column.field:
                values[column.field] = read.values
            for position, sentence in read.problems.items():
                problems.setdefault(position, []).append(sentence)
        if problems:
            skus = values["sku_code"]
            for position, sentences in problems.items():
                row = rows[position]
                if any(cell.strip() for cell in row):
                    refused.append(self._refused(numbers[position], row, " ".join(sentences), skus[position]))
            kept = [position for position in range(len(rows)) if position not in problems]
            values = {name: [given[position] for position in kept] for name, given in values.items()}
            numbers = [numbers[position] for position in kept]
        return Batch(numbers, values, refused, n_bytes_read)

    def _of_right_width(
        self, collected: _Collected, first_number: int
    ) -> tuple[list[list[str]], Sequence[int], list[RefusedRow]]:
        n_cells, rows, refused = len(self.header.cells), collected.rows, []
        numbers: Sequence[int] = range(first_number, first_number + len(rows))
        if not collected.broken and set(map(len, rows)) <= {n_cells}:
            return rows, numbers, refused
        right, numbers_of_right = [], []
        for position, row in enumerate(rows):
            number = first_number + position
            if reason := collected.broken.get(position):
                refused.append(self._refused(number, row, reason))
            elif is_of_width(row, n_cells) or self._n_needed <= len(row) < n_cells:
                # Spreadsheets leave empty cells at the end of a row out.
                right.append(row[:n_cells] + [""] * (n_cells - len(row)))
                numbers_of_right.append(number)
            elif any(cell.strip() for cell in row):
                refused.append(self._refused(number, row, self._wrong_width(row)))
        return right, numbers_of_right, refused

    def _refused(self, row_number: int, row: list[str], reason: str, sku_code: str | None = None) -> RefusedRow:
        # A row of another width has its cells under no column for certain.
        important = [index for _, index in self._columns] if len(row) == len(self.header.cells) else range(len(row))
        return RefusedRow(row_number, sku_code, shortened(one_line(reason), MAX_REASON), as_json(row, important))

    def _wrong_width(self, row: list[str]) -> str:
        n_cells, n_expected = len(row), len(self.header.cells)
        has = "1 cell" if n_cells == 1 else f"{n_cells:,} cells"
        return (
            f"This row has {has} and the first row names {n_expected} columns. Check its delimiters, and put a text "
            "that holds a delimiter into quotation marks."
        )


def _put_back(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def as_json(cells: list[str], important: Iterable[int] = ()) -> str:
    """Return the cells as JSON that fits into the column; those that are not `important` are cut first."""
    kept_whole = set(important)
    for of_important, of_others in ((MAX_TEXT, MAX_TEXT), (MAX_TEXT, 40), (MAX_TEXT, 0), (100, 0), (20, 0)):
        lengths = [of_important if position in kept_whole else of_others for position in range(len(cells))]
        cut = [shortened(cell, longest) if longest else "" for cell, longest in zip(cells, lengths, strict=True)]
        text = json.dumps(cut, ensure_ascii=False)
        if len(text) <= MAX_TEXT:
            return text
    return json.dumps(["…"], ensure_ascii=False)
