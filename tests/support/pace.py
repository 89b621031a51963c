"""The client of Amazon without its waits, for tests of something else; tests/amazon hold how long it really waits."""

from collections.abc import Callable

from flexdash.amazon import stored_documents, transport
from flexdash.amazon.pacing import Plan


def begin_soon(set_attribute: Callable[[object, str, object], None]) -> None:
    """Let the client begin with full buckets and try again soon, by means of `setattr` or what undoes it later."""
    set_attribute(Plan, "initial", property(lambda plan: plan.capacity))
    set_attribute(transport, "_FIRST_PAUSE_SECONDS", 0.02)
    set_attribute(stored_documents, "_FIRST_PAUSE_SECONDS", 0.02)
