"""Asking for a recovery: what is refused, and who may."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from flexdash.extensions import db
from flexdash.jobs import runner
from flexdash.models import (
    Recovery,
    Role,
    RunState,
    Store,
    StoreStatus,
    Sync,
    SyncRun,
)
from flexdash.services import recovering, recovery, sync_runs
from flexdash.services.errors import FieldRefused, NotVisible
from tests import factories
from tests.support.pulls import row
from tests.support.recoveries import (
    ZONE,
    today,
)

# Only people bring orders in.
pytestmark = pytest.mark.usefixtures("order_sync_off")


def test_unreadable_ids_are_named_and_nothing_is_started(store, actor) -> None:
    with pytest.raises(FieldRefused) as refused:
        recovery.request_ids(actor, store.id, "SB1234567, 402-123-55 4.0212E+16; ümläut FD-000012 SB99999")
    assert refused.value.field == "ids"
    sentence = refused.value.sentence
    assert "“402-123-55” looks like an Amazon order id, and those have 3, 7 and 7 digits" in sentence
    assert "“4.0212E+16” is a number that a spreadsheet has shortened" in sentence
    assert "“ümläut” is not an id of Amazon's" in sentence
    assert "“FD-000012” is a number of FlexDash's own" in sentence
    assert db.session.scalar(select(func.count(SyncRun.id))) == 0


@pytest.mark.parametrize("text", ["", " , ; \n"])
def test_nothing_pasted_is_refused(store, actor, text) -> None:
    with pytest.raises(FieldRefused, match="Paste at least one"):
        recovery.request_ids(actor, store.id, text)


def test_more_than_500_ids_are_refused(store, actor) -> None:
    with pytest.raises(FieldRefused, match="501 ids, and 500"):
        recovery.request_ids(actor, store.id, " ".join(f"SB{n:07d}" for n in range(501)))


@pytest.mark.parametrize(
    ("first", "last", "field"),
    [
        (None, 0, "first_day"),
        (0, None, "last_day"),
        (0, -1, "last_day"),
        (1, 1, "first_day"),
        (0, 1, "last_day"),
        (-31, 0, "last_day"),
    ],
)
def test_days_that_cannot_be_are_refused(store, actor, first, last, field) -> None:
    days = [None if n is None else today() + timedelta(days=n) for n in (first, last)]
    with pytest.raises(FieldRefused) as refused:
        recovery.request_days(actor, store.id, *days, ZONE)
    assert refused.value.field == field


def test_31_days_are_taken(store, sandbox, actor) -> None:
    asked = recovery.request_days(actor, store.id, today() - timedelta(days=30), today(), ZONE)
    assert asked.updated_to - asked.updated_from == timedelta(days=31)


def test_one_at_a_time_and_only_while_connected(store, actor) -> None:
    recovery.request_ids(actor, store.id, "SB1234567")
    with pytest.raises(sync_runs.RunInProgress):
        recovery.request_ids(actor, store.id, "SB1234568")
    db.session.execute(update(SyncRun).values(state=RunState.SUCCEEDED))
    db.session.execute(update(Store).values(status=StoreStatus.NEEDS_REAUTHORIZATION))
    db.session.commit()
    with pytest.raises(sync_runs.StoreCannotSync):
        recovery.request_ids(actor, store.id, "SB1234568")
    assert db.session.scalar(select(func.count(Recovery.id))) == 1


def test_others_may_not(store, actor) -> None:
    support = factories.make_actor(factories.make_user(store.seller.workspace, Role.SUPPORT))
    assert recovery.request_ids(support, store.id, "SB1234567").asked_by_name == support.name
    stranger = factories.make_actor(factories.make_user(factories.make_workspace()))
    with pytest.raises(NotVisible):
        recovery.request_ids(stranger, store.id, "SB1234567")
    with pytest.raises(NotVisible):
        recovery.go_on(stranger, db.session.scalars(select(Recovery.id)).one())


def test_a_run_by_hand_without_saying_what_for_is_refused(store, actor) -> None:
    with pytest.raises(sync_runs.StoreCannotSync, match="Recover page"):
        sync_runs.request_now(actor, store.id, Sync.ORDER_RECOVERY)
    lonely = factories.make_run(store, RunState.QUEUED, sync=Sync.ORDER_RECOVERY, trigger="manual")
    runner.execute(lonely.id, recovering.recover)
    assert "belongs to no recovery" in row(lonely.id).error_sentence
