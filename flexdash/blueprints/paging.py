"""Keyset paging: each page starts after (or ends before) a row, so page 10,000 costs what page 1 costs."""

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from urllib.parse import urlencode

from flask import request
from sqlalchemy import ColumnElement, Label, Row, Select, TypeDecorator, and_, literal, or_, tuple_
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.base import ExecutableOption
from werkzeug.datastructures import MultiDict

from flexdash.extensions import db
from flexdash.models.types import Choice

PARAMETER = "page"
_FORWARD, _BACKWARD = "after", "before"
LARGEST_INTEGER = 2**31 - 1  # the id columns are 32 bits wide on PostgreSQL, which refuses to compare with more
_YEARS = range(1900, 9000)

Column = tuple[InstrumentedAttribute[Any] | Label[Any], str]


@dataclass(frozen=True)
class Page:
    """One page of rows. The addresses are relative to the page shown and keep its filters; None where none is."""

    items: list[Any]
    next_url: str | None
    previous_url: str | None


def keyset_page(
    query: Select[Any],
    columns: Sequence[Column],
    args: MultiDict[str, str],
    size: int = 50,
    *,
    index: Sequence[ColumnElement[Any]] | None = None,
) -> Page:
    """Return the page of `query` that `args` (the request's) ask for, `size` rows long.

    `columns` is the order, such as `[(Order.ship_by_at, "asc"), (Order.id, "desc")]`; together they must be unique
    and an index must hold them; no row may have NULL in one. By a labelled expression of `query` the
    rows are sorted once found, so for tables of thousands of rows at most. A cursor that cannot be read, or that was
    made for another order, is ignored: the first page comes. It takes one query; a second one at the very ends only.
    `index` stands in for `columns` in the SQL where `query` joins another table whose columns are equal to them and
    whose index holds the order: SQLite does not see that by itself. Or expressions equal to them that no index holds,
    where `query` finds a few rows that are better sorted.
    Raises TypeError for a column that is neither integer, text nor time, ValueError for a NULL where a page ends.
    """
    for column, _ in columns:
        _kind(column)
    walked = [(other, direction) for other, (_, direction) in zip(index, columns, strict=True)] if index else columns
    way, values = _read_cursor(args.get(PARAMETER, ""), columns)
    rows = _fetch(query, walked, way, values, size + 1)
    has_more = len(rows) > size
    rows = rows[:size]
    if values is not None and (not rows or (way == _BACKWARD and not has_more and len(rows) < size)):
        # Gone past an end, or back at a beginning with less than a page before it: the first page, whole.
        way, values = _FORWARD, None
        rows = _fetch(query, walked, way, values, size + 1)
        has_more = len(rows) > size
        rows = rows[:size]
    if way == _BACKWARD:
        rows.reverse()
    has_next = has_more if way == _FORWARD else True
    has_previous = values is not None and (way == _FORWARD or has_more)
    return Page(
        items=rows,
        next_url=_url(args, _FORWARD, rows[-1], columns) if rows and has_next else None,
        previous_url=_url(args, _BACKWARD, rows[0], columns) if rows and has_previous else None,
    )


def sifted_page(
    query: Select[Any],
    condition: ColumnElement[bool],
    columns: Sequence[Column],
    args: MultiDict[str, str],
    size: int = 50,
    *,
    windows: Sequence[int],
    load: Sequence[ExecutableOption] = (),
) -> tuple[Page, bool]:
    """Return a page of those rows of `query` for which `condition` holds, where no index knows which these are.

    The first of `windows` is how many rows are looked at; where they do not fill the page, so many more as the next
    says, and so on: a page costs about the same however few fit. The flag says whether it ends with the last window:
    it may then be short, or empty, and its next page looks further. There is no page before. `load` are the loader
    options of what is shown. Takes two queries for each window. Raises as `keyset_page` does.
    """
    for column, _ in columns:
        _kind(column)
    names, directions = [column for column, _ in columns], [direction == "desc" for _, direction in columns]
    order = [column.desc() if is_down else column.asc() for column, is_down in zip(names, directions, strict=True)]
    _, values = _read_cursor(args.get(PARAMETER, ""), columns)
    rows: list[Any] = []
    edge: Sequence[Any] = ()
    for window in windows:
        part = query if values is None else query.where(_beyond(names, directions, values))
        # The last row inside the window and the first one outside.
        edge = db.session.execute(part.with_only_columns(*names).order_by(*order).offset(window - 1).limit(2)).all()
        if len(edge) == 2:
            part = part.where(_beyond(names, [not is_down for is_down in directions], list(edge[1])))
        found = part.where(condition).options(*load).order_by(*order).limit(size + 1 - len(rows))
        rows += db.session.scalars(found)
        if len(rows) > size:
            return Page(rows[:size], _url(args, _FORWARD, rows[size - 1], columns), None), False
        if len(edge) < 2:
            return Page(rows, None, None), False
        values = list(edge[0])
    return Page(rows, _url(args, _FORWARD, edge[0], columns), None), True


def present_query() -> str:
    """Return what stands behind the path in the address of the request, with its question mark; "" when nothing does.

    The forms of a list's page are sent to addresses that have it too, and lead back to the page as it was.
    """
    query = request.query_string.decode("ascii", "ignore")
    return f"?{query}" if query else ""


def turned(columns: Sequence[Column], is_turned: bool = True) -> list[Column]:
    """Return the order `columns` the other way round, which the same index serves; as it is unless `is_turned`."""
    other = {"asc": "desc", "desc": "asc"}
    return [(column, other[direction] if is_turned else direction) for column, direction in columns]


def _fetch(query: Select[Any], columns: Sequence[Column], way: str, values: list[Any] | None, n_rows: int) -> list[Any]:
    directions = [(direction == "desc") != (way == _BACKWARD) for _, direction in columns]
    order = [
        column.desc() if is_down else column.asc() for (column, _), is_down in zip(columns, directions, strict=True)
    ]
    if values is not None:
        query = query.where(_beyond([column for column, _ in columns], directions, values))
    result = db.session.execute(query.order_by(None).order_by(*order).limit(n_rows))
    return list(result.scalars() if len(query.column_descriptions) == 1 else result)


def _beyond(columns: Sequence[ColumnElement[Any]], directions: list[bool], values: list[Any]) -> ColumnElement[bool]:
    bounds = [literal(value, column.type) for column, value in zip(columns, values, strict=True)]
    if len(set(directions)) == 1 and len({getattr(column, "class_", None) for column in columns}) == 1:
        ours, theirs = tuple_(*columns), tuple_(*bounds)
        return ours < theirs if directions[0] else ours > theirs
    # Mixed directions have no row comparison, and over two tables one uses no index: the first condition sees to that.
    first = columns[0] <= bounds[0] if directions[0] else columns[0] >= bounds[0]
    steps = []
    for position, (column, is_down) in enumerate(zip(columns, directions, strict=True)):
        same = [columns[before] == bounds[before] for before in range(position)]
        steps.append(and_(*same, column < bounds[position] if is_down else column > bounds[position]))
    return and_(first, or_(*steps))


# Cursors --------------------------------------------------------------------------------------------------------------


def _url(args: MultiDict[str, str], way: str, row: Any, columns: Sequence[Column]) -> str:
    values = [_plain(_value(row, column)) for column, _ in columns]
    if None in values:
        raise ValueError("no paging over NULL: leave such rows out of the query, or order by another column")
    text = json.dumps([way, _fingerprint(columns), *values], separators=(",", ":"))
    cursor = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    kept = [(name, value) for name, value in args.items(multi=True) if name != PARAMETER and value]
    return "?" + urlencode([*kept, (PARAMETER, cursor)])


def _read_cursor(cursor: str, columns: Sequence[Column]) -> tuple[str, list[Any] | None]:
    try:
        text = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode()
        way, fingerprint, *values = json.loads(text)
        if way not in (_FORWARD, _BACKWARD) or fingerprint != _fingerprint(columns):
            return _FORWARD, None
        return way, [_checked(value, column) for value, (column, _) in zip(values, columns, strict=True)]
    except (ValueError, TypeError, RecursionError):
        return _FORWARD, None


def _fingerprint(columns: Sequence[Column]) -> int:
    return zlib.crc32(" ".join(f"{column} {direction}" for column, direction in columns).encode())


def _value(row: Any, column: InstrumentedAttribute[Any] | Label[Any]) -> Any:
    if isinstance(row, Row) and column.key in row._fields:
        return getattr(row, column.key)
    owner = column.class_
    if not isinstance(row, owner):
        row = next(part for part in row if isinstance(part, owner))
    return getattr(row, column.key)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value.value if isinstance(value, Enum) else value


def _checked(value: Any, column: InstrumentedAttribute[Any] | Label[Any]) -> Any:
    """Return `value` as the column's kind; raise ValueError for what the database would not compare with."""
    kind = _kind(column)
    if kind is datetime:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None or moment.year not in _YEARS:
            raise ValueError("not a moment")
        return moment
    if kind is int:
        if type(value) is not int or abs(value) > LARGEST_INTEGER:
            raise ValueError("not an integer")
        return value
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("not text")
    if isinstance(column.type, Choice):
        return column.type.choices(value)
    value.encode()
    return value


def _kind(column: InstrumentedAttribute[Any] | Label[Any]) -> type:
    column_type = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    kind = column_type.python_type
    if kind not in (int, str, datetime):
        raise TypeError(f"no paging by {column}: a cursor holds integers, texts and times, not {kind.__name__}")
    return kind
