"""Faults of our own while something of Amazon's is worked on: told without Amazon's words, at the cost of that one."""

import logging
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

from flexdash.amazon import lenient
from flexdash.amazon.errors import UnreadableReturn, UnreadableShipment

log = logging.getLogger(__name__)

Read = TypeVar("Read")


def fault(error: Exception) -> str:
    """Return which kind of error it is and where it was raised; its own words may quote what Amazon sent."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {where.name}, line {where.lineno}"


def read_or_refuse(
    read: Callable[[Any], Read], raw: Any, refusal: type[UnreadableShipment] | type[UnreadableReturn]
) -> Read:
    """Return what `read` makes of `raw`. A fault of ours in it becomes a `refusal`: it costs no other its reading."""
    try:
        return read(raw)
    except refusal:
        raise
    except Exception as error:
        log.error("%s for a fault of ours: %s", refusal.__name__, fault(error))
        reason = f"FlexDash does not understand its form ({type(error).__name__})"
        raise refusal(reason, lenient.text(lenient.members(raw).get("id")) or None) from error
