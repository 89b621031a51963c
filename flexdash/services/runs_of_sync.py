"""The runs of one sync of one store in their order, so asked for that PostgreSQL reads no others."""

from typing import Any

from sqlalchemy import ColumnElement, literal, tuple_

from flexdash.extensions import db
from flexdash.models import Sync, SyncRun

_LARGEST_ID = 2**31 - 1
_PLACE = (SyncRun.sync, SyncRun.id)


def of(store_id: int | ColumnElement[int], sync: Sync | ColumnElement[Sync]) -> ColumnElement[bool]:
    """Return the condition that a run is one of this store and sync.

    To PostgreSQL it is a piece of the index of store, sync and id. Told of a sync that equals this, and to go by the
    id, it would rather go through all runs there are from the newest on, as if every sync had as many as any other:
    where one has none, that is the whole table.
    """
    if db.engine.dialect.name != "postgresql":
        return (SyncRun.store_id == store_id) & (SyncRun.sync == sync)
    return (SyncRun.store_id == store_id) & tuple_(*_PLACE).between(_at(sync, 0), _at(sync, _LARGEST_ID))


def newest_first() -> tuple[ColumnElement[Any], ...]:
    """Return the order of `of`'s runs from the newest on."""
    return tuple(column.desc() for column in _PLACE)


def oldest_first() -> tuple[ColumnElement[Any], ...]:
    """Return the order of `of`'s runs from the oldest on."""
    return tuple(column.asc() for column in _PLACE)


def _at(sync: Sync | ColumnElement[Sync], run_id: int) -> ColumnElement[Any]:
    of_sync = literal(sync, SyncRun.sync.type) if isinstance(sync, Sync) else sync
    return tuple_(of_sync, literal(run_id, SyncRun.id.type))
