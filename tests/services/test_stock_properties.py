"""Whatever happens, in whatever order: stock moves once for each order, and the ledger sums to the levels."""

from flask import Flask
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.stock_stories import QUIET, live, steps


@given(st.lists(steps, min_size=4, max_size=20))
@hypothesis_settings(max_examples=25, **QUIET)
def test_stock_moves_once_whatever_happens(app: Flask, script: list[tuple]) -> None:
    live(script)
