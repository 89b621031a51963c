"""Fetching ahead: order, errors, an early end, and what the fetching thread logs."""

import threading
from contextlib import closing

import pytest
import structlog
from flask import has_app_context

from flexdash.prefetch import prefetched


def test_items_come_in_order_and_an_error_after_what_was_fetched_before_it():
    def items():
        yield from range(5)
        raise LookupError("the sixth")

    fetched = prefetched(items())
    assert [next(fetched) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(LookupError, match="the sixth"):
        next(fetched)


def test_a_consumer_that_stops_early_leaves_no_thread_behind():
    before = set(threading.enumerate())
    with closing(prefetched(iter(range(1000)))) as fetched:
        assert next(fetched) == 0
    assert set(threading.enumerate()) == before


def test_the_fetching_thread_logs_with_the_ids_of_its_run_and_has_no_app_context(app):
    def items():
        yield threading.current_thread(), structlog.contextvars.get_contextvars(), has_app_context()

    with structlog.contextvars.bound_contextvars(run_id=7, store_id=3):
        ((thread, ids, is_in_app),) = prefetched(items())
    assert thread is not threading.current_thread()
    assert (ids["run_id"], ids["store_id"]) == (7, 3)
    assert not is_in_app
