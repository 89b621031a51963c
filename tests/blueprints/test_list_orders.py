"""Lists beside the list of orders, of alarms and of differences: the other way round, and narrowed, in the address."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import text

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import AlarmKind, BatchAction, Order, RecoveryOutcome, Role, Severity
from flexdash.services.order_work import invoices as invoice_service
from tests.factories import (
    make_actor,
    make_alarm,
    make_alarm_message,
    make_batch,
    make_conflict,
    make_difference,
    make_order,
    make_recovery,
    make_seller,
    make_step,
    make_store,
    make_user,
)
from tests.support.databases import is_postgres
from tests.support.web import words


@pytest.fixture
def ada(workspace):
    return make_user(workspace, Role.ADMIN, name="Ada")


@pytest.fixture
def admin(ada, signed_in):
    """A browser in which the admin Ada is signed in."""
    return signed_in(ada)


@pytest.fixture
def store(seller):
    return make_store(seller, name="Pune Store")


@pytest.fixture
def other(workspace):
    return make_store(make_seller(workspace, "Nova"), name="Delhi Store")


def places(browser, address: str, marks: list[str]) -> list[str]:
    """Return those of `marks` that the rows of the table show, in their order."""
    text = browser.get(address).text
    rows = re.findall(r"<tr.*?</tr>", text[text.index("<tbody") :], re.DOTALL) if "<tbody" in text else []
    return [mark for row in rows for mark in marks if mark in row]


def conflicts(ada, store, other) -> list[str]:
    made = [make_order(one, "Shipped") for one in (store, other)]
    for order in made:
        make_conflict(order)
    return [order.amazon_order_id for order in reversed(made)]


def invoices(ada, store, other) -> list[str]:
    return [make_order(one, "Picked", is_invoice_waiting=True).amazon_order_id for one in (store, other)]


def to_fix(ada, store, other) -> list[str]:
    made = [make_order(one, "Picked") for one in (store, other)]
    for order, kind in zip(made, ("labels", "ship"), strict=True):
        make_step(order, kind, "failed", error_sentence="Amazon said no.")
    return [order.amazon_order_id for order in made]


def batches(ada, store, other) -> list[str]:
    made = [make_batch(make_order(one), ada, BatchAction(action)) for one, action in ((store, "pick"), (other, "pack"))]
    return [f'/batches/{batch.id}"' for batch in reversed(made)]


def messages(ada, store, other) -> list[str]:
    make_alarm_message(ada.workspace, "sent", recipient="first@x.example")
    make_alarm_message(ada.workspace, "given_up", recipient="hooks.x.example", channel="webhook")
    return ["hooks.x.example", "first@x.example"]


def differences(ada, store, other) -> list[str]:
    return [make_difference(store, subject=name).subject for name in ("SB0000001", "SB0000002")][::-1]


def recoveries(ada, store, other) -> list[str]:
    by_ids = make_recovery(store, {"SB0000001": RecoveryOutcome.MISSING})
    now = clock.now()
    by_days = make_recovery(
        store, {"SB0000002": RecoveryOutcome.MISSING}, updated_from=now - timedelta(days=2), updated_to=now
    )
    return [f'/recover/{one.id}"' for one in (by_days, by_ids)]


def is_said_to_be_no_choice(browser, address: str, name: str) -> bool:
    said = "“nonsense” is none of the choices, so it is ignored. Pick one of them."
    page = browser.get(f"{address}?{name}=nonsense").text
    return f'<a href="#{name}">{said}</a>' in page and f'id="{name}-error"' in page and ">Clear</a>" in page


LISTS = [
    (conflicts, "/orders/conflicts", "oldest"),
    (invoices, "/orders/invoices", "newest"),
    (to_fix, "/orders/to-fix", "newest"),
    (batches, "/orders/batches", "oldest"),
    (messages, "/alarms/messages", "oldest"),
    (differences, "/stores/{store}/reconcile", "oldest"),
    (recoveries, "/stores/{store}/recover", "oldest"),
]


@pytest.mark.parametrize(("make", "path", "turned"), LISTS, ids=lambda value: getattr(value, "__name__", None))
def test_a_list_is_turned_in_its_address(admin, ada, store, other, make, path, turned) -> None:
    shown, address = make(ada, store, other), path.format(store=store.id)
    assert places(admin, address, shown) == shown
    assert places(admin, f"{address}?sort={turned}", shown) == shown[::-1]
    assert places(admin, f"{address}?sort=nonsense", shown) == shown
    assert is_said_to_be_no_choice(admin, address, "sort")
    assert f'<option selected value="{turned}">' in admin.get(f"{address}?sort={turned}").text


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/orders", "state"),
        ("/returns", "status"),
        ("/stock", "hub"),
        ("/sync-runs", "sync"),
        ("/api-log", "outcome"),
        ("/uploads", "kind"),
        ("/stores", "country"),
        ("/alarms", "severity"),
        ("/configuration-log", "section"),
        ("/access-log", "kind"),
        ("/admin/users", "role"),
        ("/admin/hubs", "status"),
    ],
)
def test_a_choice_that_a_list_does_not_have_is_said(admin, store, path, name) -> None:
    make_order(store)
    make_alarm(store, "quarantine")
    assert is_said_to_be_no_choice(admin, path, name)


@pytest.mark.parametrize(
    ("make", "path", "query", "left"),
    [
        (invoices, "/orders/invoices", "store={other}", 1),
        (to_fix, "/orders/to-fix", "store={other}", 1),
        (to_fix, "/orders/to-fix", "kind=labels", 0),
        (batches, "/orders/batches", "action=pick", 1),
        (messages, "/alarms/messages", "state=given_up", 0),
        (messages, "/alarms/messages", "channel=email", 1),
        (recoveries, "/stores/{store}/recover", "way=days", 0),
        (recoveries, "/stores/{store}/recover", "way=ids", 1),
    ],
)
def test_a_list_is_narrowed_in_its_address(admin, ada, store, other, make, path, query, left) -> None:
    shown = make(ada, store, other)
    address = f"{path}?{query}".format(store=store.id, other=other.id)
    assert places(admin, address, shown) == [shown[left]]


@pytest.mark.parametrize(
    ("path", "words_of_nothing"),
    [
        ("/orders/invoices?store={store}", "No invoice of this store waits on Amazon."),
        ("/orders/to-fix?kind=ship", "No step that fits these filters waits for you."),
        ("/orders/batches?state=running", "No action fits these filters."),
        ("/alarms/messages?state=waiting", "No message fits these filters."),
        ("/stores/{store}/recover?way=days", "Nothing was recovered in this way yet."),
    ],
)
def test_filters_that_leave_nothing_can_be_taken_back(admin, store, path, words_of_nothing) -> None:
    page = words(admin.get(path.format(store=store.id)))
    assert words_of_nothing in page
    assert "Show all" in page


def test_alarms_come_worst_first_or_by_age(admin, store) -> None:
    make_alarm(store, AlarmKind.CONFLICTS, sentence="critical, old")
    make_alarm(store, AlarmKind.QUARANTINE, sentence="a warning", severity=Severity.WARNING.value)
    make_alarm(store, AlarmKind.ZERO_BRAKE, sentence="critical, new")
    marks = ["critical, old", "a warning", "critical, new"]
    assert places(admin, "/alarms", marks) == ["critical, new", "critical, old", "a warning"]
    assert places(admin, "/alarms?sort=newest", marks) == ["critical, new", "a warning", "critical, old"]
    assert places(admin, "/alarms?sort=oldest", marks) == ["critical, old", "a warning", "critical, new"]


def test_past_alarms_come_the_latest_or_the_oldest_first(admin, store) -> None:
    now = clock.now()
    for hours, name in ((3, "over long ago"), (1, "over lately")):
        make_alarm(store, sentence=name, cleared_at=now - timedelta(hours=hours))
    marks = ["over long ago", "over lately"]
    assert places(admin, "/alarms?show=past", marks) == marks[::-1]
    assert places(admin, "/alarms?show=past&sort=oldest", marks) == marks


@pytest.mark.parametrize("by_store", [False, True])
def test_invoices_to_do_are_found_by_their_own_index(ada, store, by_store) -> None:
    """Few wait among a million orders: the workspace's own index would lead through all of them."""
    query = invoice_service.listing(make_actor(ada), store.id if by_store else None).order_by(Order.id).limit(51)
    statement = str(query.compile(db.engine, compile_kwargs={"literal_binds": True}))
    if is_postgres():
        db.session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = db.session.scalars(text(f"EXPLAIN {statement}")).all()
    else:
        plan = [row[-1] for row in db.session.execute(text(f"EXPLAIN QUERY PLAN {statement}"))]
    assert any("ix_orders_invoice_waiting" in step for step in plan), plan
