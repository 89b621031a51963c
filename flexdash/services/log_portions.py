"""Reading a log from end to end for a file: a portion at a time, each found by where the one before ended."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Select, literal, tuple_

from flexdash.database import release_connection
from flexdash.extensions import db


def rows_in_portions(
    query: Select[Any],
    newest_first: Sequence[tuple[Any, str]],
    cells_of: Callable[[Sequence[Any]], list[tuple[Any, ...]]],
    *,
    at_a_time: int,
    is_oldest_first: bool,
) -> Iterator[tuple[Any, ...]]:
    """Yield what `cells_of` makes of the rows of `query`, in the order of the columns of `newest_first` or against it.

    The database connection is given back between the portions: a slow download holds nothing. So `cells_of` has to
    read all that it needs of a portion.
    """
    columns = [column for column, _ in newest_first]
    order = [column.asc() if is_oldest_first else column.desc() for column in columns]
    query = query.order_by(*order).limit(at_a_time)
    portion = query
    while True:
        found = db.session.scalars(portion).all()
        cells = cells_of(found)
        last = [literal(getattr(found[-1], column.key), column.type) for column in columns] if found else []
        release_connection()
        yield from cells
        if len(cells) < at_a_time:
            return
        ours, theirs = tuple_(*columns), tuple_(*last)
        portion = query.where(ours > theirs if is_oldest_first else ours < theirs)
