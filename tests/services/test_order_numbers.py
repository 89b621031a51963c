"""FlexDash's own number of an order: written in one way, read as people write it, and both in one place."""

import re
from pathlib import Path

import pytest

from flexdash.services.order_numbers import id_of, is_number, number_of

FLEXDASH = Path(__file__).parent.parent.parent / "flexdash"


@pytest.mark.parametrize(
    ("text", "order_id"),
    [
        ("FD-000123", 123),
        ("fd-123", 123),
        ("Fd000123", 123),
        ("FD-1234567", 1234567),
        ("FD-0000000000123", 123),
        ("FD-0", 0),
        ("FD-999999999", 999_999_999),
        ("FD-1000000000", None),
        ("FD-", None),
        ("FD-12\n", None),
        ("FD-12 ", None),
        ("xFD-12", None),
        ("FD-1٢", None),
        ("123", None),
        ("", None),
    ],
)
def test_a_number_is_read_as_people_write_it(text: str, order_id: int | None) -> None:
    assert id_of(text) == order_id


@pytest.mark.parametrize("order_id", [1, 123, 999_999, 1_000_000, 999_999_999])
def test_what_is_written_is_read(order_id: int) -> None:
    assert id_of(number_of(order_id)) == order_id


def test_a_number_that_no_order_can_have_is_one_all_the_same() -> None:
    assert is_number("FD-99999999999999")
    assert not is_number("FD-")


def test_no_other_module_knows_how_a_number_is_written() -> None:
    of_its_own = re.compile(r"FD-[?{(\[0]")
    found = [str(path) for path in FLEXDASH.rglob("*.py") if of_its_own.search(path.read_text())]
    assert [Path(path).name for path in found] == ["order_numbers.py"]
