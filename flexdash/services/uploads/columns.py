"""Reading the cells of a column: thousands at once where they are as they should be, one by one where they are not."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from flexdash.currencies import decimals_of
from flexdash.services import catalog_values
from flexdash.services.catalog_values import BadValue


@dataclass(frozen=True)
class Column:
    """One column of a kind of file.

    `kept` matches a cell that is kept letter by letter as it stands; `nearly` one that `tidy` brings into that form.
    Every other cell goes through `clean`, which gives the value or raises BadValue. All three say the same of a cell:
    the patterns only make it quick.
    """

    name: str
    field: str | None  # of UploadRow; None for a cell that is only checked
    clean: Callable[[str], Any]
    hint: str  # what belongs into it, for the page
    is_required: bool = True
    kept: str = ""
    nearly: str = ""
    tidy: Callable[[str], str] | None = None
    longest: int = 1_000
    example: str = ""


@dataclass(frozen=True)
class Cells:
    """What a column's cells are kept as (text, or None for nothing), and what is wrong with some, by position."""

    values: Sequence[str | None]
    problems: dict[int, str]


def read_cells(column: Column, cells: Sequence[str]) -> Cells:
    """Return what `column` keeps of `cells`."""
    joined = "\n".join(cells) + "\n"
    if joined.count("\n") == len(cells) and max(map(len, cells), default=0) <= column.longest:
        if column.kept and _pattern(column.kept, column.is_required).fullmatch(joined):
            return Cells(_without_empty(cells, joined), {})
        if column.nearly and column.tidy and _pattern(column.nearly, column.is_required).fullmatch(joined):
            return Cells([column.tidy(cell) if cell else None for cell in cells], {})
    values: list[str | None] = []
    problems = {}
    for position, cell in enumerate(cells):
        value = None
        if column.is_required or cell.strip():
            try:
                value = column.clean(cell)
            except BadValue as refusal:
                problems[position] = f"{column.name}: {refusal.sentence}"
        values.append(_as_text(value))
    return Cells(values, problems)


def _without_empty(cells: Sequence[str], joined: str) -> Sequence[str | None]:
    has_empty = joined.startswith("\n") or "\n\n" in joined
    return [cell or None for cell in cells] if has_empty else cells


def _as_text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    return format(value, "f") if isinstance(value, Decimal) else str(value)


_patterns: dict[tuple[str, bool], re.Pattern[str]] = {}


def _pattern(cell: str, is_required: bool) -> re.Pattern[str]:
    key = (cell, is_required)
    if key not in _patterns:
        _patterns[key] = re.compile(rf"(?:(?:{cell}){'' if is_required else '?'}\n)*")
    return _patterns[key]


# The columns that several kinds have ---------------------------------------------------------------------------------

_UNSEEN = r"\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_ASCII = r"[!-~](?:[ -~]*[!-~])?"
_WHOLE = r"(?:0|[1-9][0-9]{0,9})"


def _tidy_money(text: str) -> str:
    whole, _, decimals = text.partition(".")
    decimals = decimals.rstrip("0")
    return f"{whole}.{decimals:0<2}"


def _tidy_cm(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def sku_code() -> Column:
    """Return the column that says which SKU a row is about."""
    return Column(
        "sku_code",
        "sku_code",
        catalog_values.clean_sku_code,
        "The seller's own code for the item. Capital and small letters differ.",
        kept=_ASCII,
        longest=catalog_values.MAX_SKU_LENGTH,
        example="TEE-BLK-M",
    )


def asin() -> Column:
    """Return the column of ASINs."""
    return Column(
        "asin",
        "asin",
        catalog_values.clean_asin,
        "Amazon's number of the product: ten digits or capital letters.",
        kept="[A-Z0-9]{10}",
        example="B0EXAMPLE1",
    )


def name() -> Column:
    """Return the column of names."""
    return Column(
        "name",
        "name",
        catalog_values.clean_name,
        f"What people call the item, up to {catalog_values.MAX_NAME_LENGTH} characters.",
        kept=rf"[^{_UNSEEN}]+(?: [^{_UNSEEN}]+)*",
        longest=catalog_values.MAX_NAME_LENGTH,
        example="T-shirt, black, size M",
    )


def barcode() -> Column:
    """Return the column of barcodes."""
    return Column(
        "barcode",
        "barcode",
        catalog_values.clean_barcode,
        "The number under the bars, as text.",
        is_required=False,
        kept=r"[0-9]+|(?![0-9][.,0-9]*[eE])" + _ASCII,
        longest=catalog_values.MAX_BARCODE_LENGTH,
        example="8901234567890",
    )


def money(name: str, field: str, hint: str, *, is_required: bool, example: str) -> Column:
    """Return a column of amounts."""
    return Column(
        name,
        field,
        catalog_values.clean_money,
        hint,
        is_required=is_required,
        kept=_WHOLE + r"\.[0-9]{2}",
        nearly=_WHOLE + r"(?:\.[0-9]{1,4})?",
        tidy=_tidy_money,
        example=example,
    )


def selling_price(currency: str) -> Column:
    """Return the column of what buyers pay in `currency`."""
    above_zero = r"(?![0.]+\n)"
    digit = "[0-9]" if decimals_of(currency) else "0"
    return Column(
        "selling_price",
        "price",
        partial(catalog_values.clean_price, currency=currency),
        "What a buyer pays, in the store's currency.",
        kept=above_zero + _WHOLE + rf"\.{digit}{{2}}",
        nearly=above_zero + _WHOLE + rf"(?:\.{digit}{{1,2}})?",
        tidy=_tidy_money,
        example="499.00",
    )


def weight_g() -> Column:
    """Return the column of weights."""
    return Column(
        "weight_g",
        "weight_g",
        catalog_values.clean_weight_g,
        "The weight in whole grams.",
        is_required=False,
        kept="[1-9][0-9]{0,7}",
        example="250",
    )


def centimetres(name: str, side: str, example: str) -> Column:
    """Return the column of one side's length."""
    return Column(
        name,
        name,
        catalog_values.clean_cm,
        f"The {side} in centimetres, with up to two decimals.",
        is_required=False,
        kept=r"[1-9][0-9]{0,4}(?:\.[0-9]?[1-9])?",
        nearly=r"[1-9][0-9]{0,4}(?:\.[0-9]{1,2})?",
        tidy=_tidy_cm,
        example=example,
    )


def quantity(hint: str) -> Column:
    """Return the column of numbers of units."""
    return Column(
        "quantity",
        "quantity",
        catalog_values.clean_quantity,
        hint,
        kept="(?:0|[1-9][0-9]{0,7})",
        example="15",
    )
