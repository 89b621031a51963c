"""Whatever happens, in whatever order: stock moves once for each order, and the ledger sums to the levels."""

from flask import Flask
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from flexdash.models import StockMode
from flexdash.services.stock import Way
from tests.support.stock_stories import QUIET, live, steps

# What chance may miss in a few stories: orders that get their stock, wait for it, move, ship and are cancelled.
EVENTFUL = [
    ("order", 0, "EXSB", [("TEE", 3)], 0),
    ("order", 0, "EXSB", [("MUG", 2)], 5),
    ("order", 1, "EXSB", [("TEE", 1)], 10),
    ("list", 1, "TEE"),
    ("order", 0, "EXSB", [("TEE", 3)], 20),
    ("news", 0, "CANCELLED"),
    ("release", 2),
    ("move", 1, "DELX"),
    ("upload", StockMode.ADD, [2, 2, 0, 3, 3, 0]),
    ("switch", 0, False),
    ("order", 0, "EXSB", [("MUG", 1)], 30),
    ("by_hand", 4, 1),
    ("news", 1, "SHIPPED"),
    ("edit", 0, Way.SET, 5),
    ("news", 3, "CANCELLED"),
    ("news", 1, "CANCELLED"),
]


@given(st.lists(steps, min_size=8, max_size=20))
@example(EVENTFUL)
@hypothesis_settings(max_examples=10, **QUIET)
def test_stock_moves_once_whatever_happens(app: Flask, script: list[tuple]) -> None:
    live(script)
