"""Reading a column's cells at once says exactly what reading them one by one says."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flexdash.services.uploads import columns
from flexdash.services.uploads.columns import read_cells

COLUMNS = {
    column.name: column
    for column in (
        columns.sku_code(),
        columns.asin(),
        columns.name(),
        columns.barcode(),
        columns.selling_price("INR"),
        replace(columns.selling_price("JPY"), name="price in yen"),
        columns.money("mrp", "mrp", "", is_required=False, example=""),
        columns.weight_g(),
        columns.centimetres("length_cm", "length", ""),
        columns.quantity(""),
    )
}
CELLS = st.one_of(
    st.just(""),
    st.text(max_size=12),
    st.text("0123456789.eE-, ", max_size=8),
    st.from_regex(r"[A-Z0-9]{10}", fullmatch=True),
)


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of the columns
@given(st.sampled_from(sorted(COLUMNS)), st.lists(CELLS, max_size=4))
def test_reading_many_at_once_changes_nothing(name, cells) -> None:
    at_once = COLUMNS[name]
    one_by_one = replace(at_once, kept="", nearly="")
    quick, slow = read_cells(at_once, cells), read_cells(one_by_one, cells)
    assert list(quick.values) == list(slow.values)
    assert quick.problems == slow.problems


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_a_break_in_a_cell_does_not_pass_for_two_cells(name) -> None:
    column = COLUMNS[name]
    read = read_cells(column, [f"{column.example}\n{column.example}", column.example])
    assert len(read.values) == 2


@pytest.mark.parametrize("free", ["0", "0.00", "0.0000", "00.0", ".0"])
def test_a_price_of_zero_is_refused_and_the_prices_around_it_are_kept(free) -> None:
    read = read_cells(COLUMNS["selling_price"], ["0.01", free, "10.00"])
    assert list(read.values) == ["0.01", None, "10.00"]
    assert list(read.problems) == [1]
    assert read.problems[1].startswith("selling_price: A price of zero cannot be.")


def test_amounts_come_into_one_form() -> None:
    given_as = ["499", "499.5", "499.50", "0.1250", "007", ""]
    assert list(read_cells(COLUMNS["mrp"], given_as[:4]).values) == ["499.00", "499.50", "499.50", "0.125"]
    assert list(read_cells(COLUMNS["mrp"], given_as).values) == ["499.00", "499.50", "499.50", "0.125", "7.00", None]
    assert list(read_cells(COLUMNS["length_cm"], ["30.50", "30.00", "30", ""]).values) == ["30.5", "30", "30", None]
