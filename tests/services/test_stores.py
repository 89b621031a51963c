"""Drafts, names, Amazon's refusal, disconnecting, and what the overview tells."""

from datetime import timedelta

import pytest
import redis
import time_machine
from sqlalchemy import func, select

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import (
    ApiCall,
    ConfigEvent,
    HoldReason,
    OrderState,
    QuarantinedShipment,
    Role,
    RunState,
    Store,
    StoreStatus,
    Sync,
    SyncAttempt,
    SyncRun,
    SyncState,
)
from flexdash.services import (
    disconnecting,
    seller_stores,
    store_health,
    store_overview,
    store_summaries,
    stores,
    sync_attempts,
)
from flexdash.services.errors import ChangedMeanwhile, FieldRefused, NotAllowed, NotVisible, ServiceError
from flexdash.services.run_context import Superseded
from flexdash.services.store_health import Health
from tests import factories
from tests.factories import make_actor, make_seller, make_store, make_user, make_workspace


@pytest.fixture
def workspace(app):
    return make_workspace(time_zone="UTC")


@pytest.fixture
def seller(workspace):
    return make_seller(workspace, "Sunrise")


@pytest.fixture
def asha(workspace):
    return make_actor(make_user(workspace, name="Asha"), "203.0.113.9")


def log_of(workspace) -> list[ConfigEvent]:
    db.session.rollback()
    query = select(ConfigEvent).where(ConfigEvent.workspace_id == workspace.id).order_by(ConfigEvent.sequence)
    return list(db.session.scalars(query))


# Drafts and names -----------------------------------------------------------------------------------------------------


def test_a_draft_takes_marketplace_and_currency_from_the_country(asha, seller) -> None:
    store = stores.start_draft(asha, seller.id, "AE")
    assert (store.status, store.country_code, store.marketplace_id, store.currency) == (
        StoreStatus.DRAFT,
        "AE",
        "A2VIGQ35RCS4UG",
        "AED",
    )
    assert {store.is_order_sync_on, store.is_inventory_sync_on, store.is_automated_cancellation_on} == {False}
    stores.change_country(asha, store.id, "IN")
    assert (store.country_code, store.currency) == ("IN", "INR")


def test_a_draft_needs_a_country_and_a_seller_that_exist_here(asha, seller) -> None:
    with pytest.raises(FieldRefused) as refused:
        stores.start_draft(asha, seller.id, "XX")
    assert refused.value.field == "country"
    with pytest.raises(NotVisible):
        stores.start_draft(asha, make_seller(make_workspace()).id, "IN")


def test_drafts_leave_no_trace_in_the_log_and_can_be_discarded(workspace, asha, seller) -> None:
    store = stores.start_draft(asha, seller.id, "IN")
    stores.rename(asha, store.id, "Pune")
    stores.discard_draft(asha, store.id)
    assert log_of(workspace) == []
    assert db.session.scalar(select(func.count(Store.id))) == 0


def test_a_connected_store_is_no_draft(asha, seller) -> None:
    store = make_store(seller)
    with pytest.raises(stores.NotADraft):
        stores.discard_draft(asha, store.id)
    with pytest.raises(stores.NotADraft):
        stores.change_country(asha, store.id, "AE")


@pytest.mark.parametrize(("typed", "kept"), [("  Pune   Store ", "Pune Store"), ("x" * 100, "x" * 100), ("पुणे", "पुणे")])
def test_a_name_is_kept_without_spare_spaces(asha, seller, typed, kept) -> None:
    store = stores.start_draft(asha, seller.id, "IN")
    assert stores.rename(asha, store.id, typed).name == kept


@pytest.mark.parametrize("typed", ["", "   ", "x" * 101, "a\x00b"])
def test_a_name_that_cannot_be_is_refused_at_its_field(asha, seller, typed) -> None:
    store = stores.start_draft(asha, seller.id, "IN")
    with pytest.raises(FieldRefused) as refused:
        stores.rename(asha, store.id, typed)
    assert refused.value.field == "name"


def test_a_name_is_unique_among_the_live_stores_of_a_seller(workspace, asha, seller) -> None:
    make_store(seller, name="Pune")
    make_store(seller, "disconnected", name="Old")
    store = stores.start_draft(asha, seller.id, "IN")
    with pytest.raises(FieldRefused, match="named PUNE already"):
        stores.rename(asha, store.id, "PUNE")
    with pytest.raises(FieldRefused):
        stores.start_draft(asha, seller.id, "IN", "pune")
    assert stores.rename(asha, store.id, "Old").name == "Old"
    other = stores.start_draft(asha, make_seller(workspace).id, "IN", "Pune")
    assert other.name == "Pune"


def test_renaming_a_store_is_logged_once(workspace, asha, seller) -> None:
    store = make_store(seller, name="Pune")
    stores.rename(asha, store.id, "Pune West")
    stores.rename(asha, store.id, "Pune West")
    (event,) = log_of(workspace)
    assert event.sentence == "Asha renamed the store Pune to Pune West"
    assert (event.section, event.store_id, event.old_value, event.new_value) == (
        "Connection",
        store.id,
        {"name": "Pune"},
        {"name": "Pune West"},
    )


def test_support_changes_no_store(workspace, seller) -> None:
    support = make_actor(make_user(workspace, Role.SUPPORT))
    draft, store = make_store(seller, "draft"), make_store(seller)
    for deed in (
        lambda: stores.start_draft(support, seller.id, "IN"),
        lambda: stores.change_country(support, draft.id, "AE"),
        lambda: stores.rename(support, store.id, "New"),
        lambda: stores.discard_draft(support, draft.id),
        lambda: disconnecting.disconnect(support, store.id),
    ):
        with pytest.raises(NotAllowed):
            deed()


def test_a_merchant_limited_to_sellers_reaches_no_other_store(workspace, seller) -> None:
    limited = make_actor(make_user(workspace, sellers=[make_seller(workspace)]))
    store = make_store(seller)
    for deed in (
        lambda: stores.rename(limited, store.id, "Mine"),
        lambda: disconnecting.disconnect(limited, store.id),
        lambda: stores.start_draft(limited, seller.id, "IN"),
    ):
        with pytest.raises(NotVisible):
            deed()
    assert db.session.scalars(seller_stores.listing(limited, seller.id)).all() == []


# Disconnecting --------------------------------------------------------------------------------------------------------


@pytest.fixture
def at_work(seller):
    """A connected store with everything on, and its next turn set."""
    store = make_store(seller, name="Pune", refresh_token="Atzr|old", is_order_sync_on=True, is_inventory_sync_on=True)
    factories.make_mapping(store, factories.make_hub(seller.workspace))
    db.session.add(
        SyncState(workspace_id=store.workspace_id, store_id=store.id, sync=Sync.ORDER_PULL, next_due_at=clock.now())
    )
    db.session.commit()
    return store


def test_disconnecting_deletes_the_token_and_keeps_the_rest(workspace, asha, at_work) -> None:
    order = factories.make_order(at_work)
    account = at_work.amazon_selling_partner_id
    store = disconnecting.disconnect(asha, at_work.id, " The season  is over ")
    assert (store.status, store.refresh_token_encrypted) == (StoreStatus.DISCONNECTED, None)
    assert (store.authorization_expires_at, store.amazon_selling_partner_id) == (None, account)
    assert store.disconnected_at is not None
    assert store.is_order_sync_on
    assert store.is_inventory_sync_on
    assert db.session.scalar(select(SyncState.next_due_at).where(SyncState.store_id == store.id)) is None
    assert db.session.get(type(order), order.id) is not None
    assert store_overview.set_up(store).is_hub_mapped
    (event,) = log_of(workspace)
    assert event.sentence == "Asha disconnected Pune from Amazon"
    assert (event.old_value, event.new_value) == ({"status": "connected"}, {"status": "disconnected"})
    assert (event.reason, event.address) == ("The season is over", "203.0.113.9")


def test_disconnecting_forgets_the_access_token(redis_connection, asha, at_work) -> None:
    from flexdash.services.amazon_access import CallLog, new_client, store_at_amazon

    at_amazon = store_at_amazon(at_work.id)
    client = new_client(at_amazon, CallLog(at_amazon))
    redis_connection.set(client._tokens._token_key, b"encrypted")
    disconnecting.disconnect(asha, at_work.id)
    assert redis_connection.keys() == []


def test_disconnecting_works_while_redis_is_away(monkeypatch, asha, at_work) -> None:
    def away(_client) -> None:
        raise redis.ConnectionError("Redis is away")

    monkeypatch.setattr("flexdash.amazon.client.AmazonClient.forget_token", away)
    assert disconnecting.disconnect(asha, at_work.id).status is StoreStatus.DISCONNECTED


def test_disconnecting_ends_the_run_at_work(workspace, asha, seller, at_work) -> None:
    other = factories.make_run(make_store(seller), RunState.RUNNING)
    queued = factories.make_run(at_work, RunState.QUEUED)
    run = sync_attempts.begin(queued.id)
    disconnecting.disconnect(asha, at_work.id)
    row = db.session.get(SyncRun, queued.id, populate_existing=True)
    assert (row.state, row.error_code, row.finished_at is None) == (RunState.FAILED, "disconnected", False)
    assert "while this run was at work" in row.error_sentence
    assert db.session.scalars(select(SyncAttempt.outcome)).all() == ["failed"]
    with pytest.raises(Superseded), transaction():
        run.check_in(n_created=1)
    assert db.session.get(SyncRun, other.id).state is RunState.RUNNING


def test_disconnecting_twice_and_disconnecting_a_draft_are_refused(workspace, asha, seller, at_work) -> None:
    disconnecting.disconnect(asha, at_work.id)
    with pytest.raises(ChangedMeanwhile):
        disconnecting.disconnect(asha, at_work.id)
    with pytest.raises(ServiceError, match="draft"):
        disconnecting.disconnect(asha, make_store(seller, "draft").id)
    assert len(log_of(workspace)) == 1


# Amazon refuses -------------------------------------------------------------------------------------------------------


def test_a_refused_token_is_noted_once_with_amazons_reason(workspace, at_work) -> None:
    assert stores.needs_reauthorization(at_work.id, "invalid_grant: revoked by the seller")
    assert not stores.needs_reauthorization(at_work.id, "again")
    db.session.refresh(at_work)
    assert at_work.status is StoreStatus.NEEDS_REAUTHORIZATION
    assert at_work.reauthorization_reason == "invalid_grant: revoked by the seller"
    assert at_work.is_order_sync_on
    assert at_work.is_inventory_sync_on
    (event,) = log_of(workspace)
    assert event.sentence == "Amazon refused the authorization of Pune: it needs re-authorization"
    assert (event.actor_id, event.actor_name) == (None, "FlexDash")
    assert event.reason == "invalid_grant: revoked by the seller"


def test_a_late_refusal_of_the_token_before_changes_nothing(workspace, at_work) -> None:
    assert not stores.needs_reauthorization(at_work.id, "invalid_grant", refused_token="Atzr|older still")
    db.session.refresh(at_work)
    assert at_work.status is StoreStatus.CONNECTED
    assert stores.needs_reauthorization(at_work.id, "x" * 900, refused_token="Atzr|old")
    db.session.refresh(at_work)
    assert len(at_work.reauthorization_reason) == 500
    assert len(log_of(workspace)[0].reason) <= 300


@pytest.mark.parametrize("status", ["draft", "disconnected", "needs_reauthorization"])
def test_only_a_connected_store_can_lose_its_authorization(workspace, seller, status) -> None:
    assert not stores.needs_reauthorization(make_store(seller, status).id, "invalid_grant")
    assert log_of(workspace) == []


# Health and overview --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "health", "is_ending"),
    [
        (300, Health.GOOD, False),
        (30.5, Health.GOOD, False),
        (30, Health.EXPIRES_SOON, True),
        (0.5, Health.EXPIRES_SOON, True),
        (0, Health.EXPIRED, True),
        (-3, Health.EXPIRED, True),
    ],
)
def test_the_authorizations_end_shows_from_30_days_before(seller, days, health, is_ending) -> None:
    with time_machine.travel(clock.now(), tick=False):
        store = make_store(seller, authorization_expires_at=clock.now() + timedelta(days=days))
        assert store_health.of(store).health is health
        assert store_health.is_ending(store) is is_ending


def test_days_left_are_rounded_up(seller) -> None:
    with time_machine.travel(clock.now(), tick=False):
        store = make_store(seller)
        for hours, left in ((24, 1), (25, 2), (1, 1), (0, 0), (-1, 0), (-30, -1)):
            store.authorization_expires_at = clock.now() + timedelta(hours=hours)
            assert store_health.days_left(store) == left
        db.session.rollback()


def test_the_worst_health_wins(seller) -> None:
    good, soon = make_store(seller), make_store(seller, authorization_expires_at=clock.now() + timedelta(days=12))
    refused, draft = make_store(seller, "needs_reauthorization"), make_store(seller, "draft")
    healths = [store_health.of(store) for store in (good, soon, refused, draft)]
    assert store_health.worst(healths).health is Health.NEEDS_REAUTHORIZATION
    assert store_health.worst(healths[:2]).words == "12 days left"
    assert store_health.of(good, is_stale=True).health is Health.STALE
    assert store_health.worst([]) is None


def test_what_waits_is_counted_per_reason_and_id(seller) -> None:
    store, other = make_store(seller), make_store(seller)
    for location in ("AAA1", "BBB2", "BBB2"):
        factories.make_order(store, OrderState.ON_HOLD, seller_flex_hub_id=location)
    factories.make_order(store, OrderState.ON_HOLD, hold_reason=HoldReason.HUB_INACTIVE, seller_flex_hub_id="CCC3")
    factories.make_order(store)
    factories.make_order(other, OrderState.ON_HOLD)
    for resolved_at in (None, clock.now()):
        db.session.add(
            QuarantinedShipment(
                workspace_id=store.workspace_id,
                store_id=store.id,
                amazon_shipment_id=f"S{resolved_at}",
                error_sentence="no lines",
                payload_encrypted=b"x",
                resolved_at=resolved_at,
            )
        )
    db.session.commit()
    (summary,) = store_summaries.of([store])
    assert summary.counts.held == ((HoldReason.NO_HUB_MAPPED, 3), (HoldReason.HUB_INACTIVE, 1))
    assert summary.counts.n_quarantined == 1
    assert store_overview.unmapped_ids(store) == [("BBB2", 2), ("AAA1", 1)]


def test_the_last_seven_days_are_the_viewers_days(seller) -> None:
    from zoneinfo import ZoneInfo

    store = make_store(seller)
    with time_machine.travel("2026-11-23T20:00:00+00:00", tick=False):
        now = clock.now()
        factories.make_run(store)
        factories.make_run(store, RunState.PARTIAL, finished_at=now - timedelta(days=1))
        factories.make_run(store, RunState.FAILED, finished_at=now - timedelta(days=6))
        factories.make_run(store, RunState.SUCCEEDED, finished_at=now - timedelta(days=7, hours=21))
        factories.make_run(store, RunState.SKIPPED)
        factories.make_run(make_store(seller))
        in_utc = store_overview.last_days(store, ZoneInfo("UTC"))
        in_india = store_overview.last_days(store, ZoneInfo("Asia/Kolkata"))
    assert [day.day.day for day in in_utc] == [17, 18, 19, 20, 21, 22, 23]
    assert [day.day.day for day in in_india] == [18, 19, 20, 21, 22, 23, 24]
    assert [(day.n_good, day.n_partial, day.n_failed) for day in in_utc] == [
        (0, 0, 1),
        *[(0, 0, 0)] * 4,
        (0, 1, 0),
        (1, 0, 0),
    ]
    assert [day.n_runs for day in in_india] == [1, 0, 0, 0, 0, 1, 1]
    assert (in_utc[0].n_bad, in_utc[-1].n_bad) == (1, 0)


def test_discarding_takes_the_drafts_calls_along(asha, seller) -> None:
    store = make_store(seller, "draft")
    db.session.add(
        ApiCall(
            workspace_id=store.workspace_id,
            store_id=store.id,
            started_at=clock.now(),
            operation="exchangeCode",
            method="POST",
            path="/auth/o2/token",
            status=400,
            duration_ms=3,
        )
    )
    db.session.commit()
    stores.discard_draft(asha, store.id)
    for model in (Store, ApiCall):
        assert db.session.scalar(select(func.count(model.id))) == 0
