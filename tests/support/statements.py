"""The statements that a page sends to the database, to count them or to look at their plans."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event

from flexdash.extensions import db


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect every statement sent within the block."""
    found: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        found.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
