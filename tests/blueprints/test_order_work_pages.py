"""The pages on which orders are worked: what they offer, what they refuse, and what a double click does."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select

from amazon_sandbox.serving import Running
from flexdash.extensions import db
from flexdash.models import (
    Acknowledgement,
    Hub,
    Order,
    OrderCancellation,
    OrderConflict,
    OrderDocument,
    OrderPackage,
    OrderState,
    OrderStep,
    OrderStock,
    Role,
    StepKind,
    StepState,
    Store,
    SyncRun,
    User,
)
from flexdash.models.order_work import LACKS_SOMETHING
from flexdash.services import orders
from flexdash.services.actors import Actor
from flexdash.services.order_numbers import number_of
from flexdash.services.order_work import counts, results, transitions
from flexdash.services.order_work.attempts import Ended, Result, Task
from tests import factories
from tests.support.pulls import MAPPED, SELLER, do_run, make_pulled_store

SignIn = Callable[[User], FlaskClient]
WAY = {
    OrderState.NEW: ["Pick", "Cancel …"],
    OrderState.ON_HOLD: ["Cancel …"],
    OrderState.PICKED: ["Pack", "Cancel …"],
    OrderState.PACKED: ["Ready to ship", "Cancel …"],
    OrderState.READY_TO_SHIP: ["Ship", "Cancel …"],
    OrderState.SHIPPED: ["Delivered"],
    OrderState.DELIVERED: [],
    OrderState.CANCELLED: [],
}


@pytest.fixture
def store(app: Flask) -> Store:
    workspace = factories.make_workspace()
    return factories.make_store(factories.make_seller(workspace), name="Pune Store")


@pytest.fixture
def hub(store: Store) -> Hub:
    return factories.make_hub(store.seller.workspace, name="Pune Warehouse")


@pytest.fixture
def as_role(store: Store, signed_in: SignIn) -> Callable[[str], FlaskClient]:
    return lambda role: signed_in(factories.make_user(store.seller.workspace, role, name="Asha"))


@pytest.fixture
def merchant(as_role: Callable[[str], FlaskClient]) -> FlaskClient:
    return as_role(Role.MERCHANT)


def worked(store: Store, hub: Hub, state: OrderState = OrderState.PICKED, **values) -> Order:
    """Return an order with its stock reserved, as the pull would have made it."""
    order = factories.make_order(store, state, hub=hub, stock=OrderStock.RESERVED, **values)
    factories.make_stock(store.seller, hub, order.lines[0].sku_code, on_hand=5, reserved=1)
    return order


def offered(page: str) -> list[str]:
    card = page.split("<h2>Work</h2>")[1].split("</section>")[0]
    return re.findall(r'class="btn btn-[a-z-]+"[^>]*>([^<]+)<', card)


@pytest.mark.parametrize("state", OrderState)
def test_a_page_offers_what_the_state_machine_allows_and_nothing_else(
    merchant: FlaskClient, store: Store, hub: Hub, state: OrderState
) -> None:
    order = factories.make_order(store, state, hub=hub)
    assert offered(merchant.get(f"/orders/{order.id}").text) == WAY[state]


def test_support_sees_the_work_and_is_offered_nothing(
    as_role: Callable[[str], FlaskClient], store: Store, hub: Hub
) -> None:
    order = worked(store, hub)
    factories.make_step(order, StepKind.LABELS, StepState.FAILED, error_sentence="Amazon made no label.")
    factories.make_document(order)
    page = as_role(Role.SUPPORT).get(f"/orders/{order.id}").text
    assert "Amazon made no label." in page
    for word in ("Retry", "Download", "Edit the packages"):
        assert word not in page


def test_each_button_moves_the_order_and_a_second_click_changes_nothing(
    merchant: FlaskClient, store: Store, hub: Hub
) -> None:
    order = worked(store, hub)
    for path, state in (
        ("pack", OrderState.PACKED),
        ("ready", OrderState.READY_TO_SHIP),
        ("ship", OrderState.SHIPPED),
        ("deliver", OrderState.DELIVERED),
    ):
        for _ in range(2):
            answer = merchant.post(f"/orders/{order.id}/{path}")
            assert answer.status_code == 303
        assert order.state is state
    page = merchant.get(f"/orders/{order.id}").text
    assert page.count("Asha packed it.") == 1
    assert order.stock is OrderStock.DEDUCTED


def test_what_cannot_be_done_is_said_on_the_page(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    order = worked(store, hub)
    merchant.post(f"/orders/{order.id}/ship")
    page = merchant.get(f"/orders/{order.id}").text
    assert "This order is Picked. It must be Ready to Ship before it can be shipped." in page


def test_a_worked_order_that_was_cancelled_is_red_on_each_of_its_pages_and_in_the_list(
    merchant: FlaskClient, store: Store, hub: Hub
) -> None:
    order = factories.make_order(
        store,
        OrderState.CANCELLED,
        hub=hub,
        picked_at=orders.clock.now(),
        cancelled_by="MARKETPLACE_CANCELLED",
        cancellation_reason="Ordered by mistake",
    )
    for path in ("", "/live", "/packages", "/cancel"):
        page = merchant.get(f"/orders/{order.id}{path}").text
        assert "Cancelled: stop working this order" in page, path
        assert "by the buyer or the marketplace: Ordered by mistake." in page
    assert "Cancelled: stop work<" in merchant.get("/orders").text


def test_the_live_part_ends_with_the_work(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    order = worked(store, hub)
    assert 'data-live-seconds="15"' in merchant.get(f"/orders/{order.id}").text
    factories.make_step(order, StepKind.PACKAGES)
    assert 'data-live-seconds="3"' in merchant.get(f"/orders/{order.id}/live").text
    done = factories.make_order(store, OrderState.DELIVERED)
    assert "data-live-url" not in merchant.get(f"/orders/{done.id}").text


# Picking --------------------------------------------------------------------------------------------------------------


def test_picking_starts_the_steps_and_amazon_not_answering_asks_what_to_do(
    app: Flask, sandbox: Running, signed_in: SignIn
) -> None:
    sandbox.control.plans({"*": None})
    store = make_pulled_store(sandbox)
    merchant = signed_in(factories.make_user(store.seller.workspace, Role.MERCHANT))
    sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER)
    do_run(store)
    order = db.session.scalars(select(Order)).one()
    sandbox.control.fault("error_503", operation="getShipment", count=50)

    answer = merchant.post(f"/orders/{order.id}/pick")
    assert answer.status_code == 422
    assert "Pick it without asking Amazon" in answer.text
    assert "did not answer" in answer.text
    db.session.refresh(order)
    assert order.state is OrderState.NEW

    merchant.post(f"/orders/{order.id}/pick", data={"without_asking": "y"})
    db.session.refresh(order)
    assert order.state is OrderState.PICKED
    assert db.session.scalars(select(SyncRun.sync).order_by(SyncRun.id.desc())).first() == "order_steps"


# Conflicts ------------------------------------------------------------------------------------------------------------


def test_conflicts_are_listed_counted_and_closed_with_a_note(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    assert "Amazon and FlexDash agree about every order." in merchant.get("/orders/conflicts").text
    order = factories.make_order(store, OrderState.SHIPPED, hub=hub)
    conflict = factories.make_conflict(order)
    assert number_of(order.id) in merchant.get("/orders/conflicts").text
    home = merchant.get("/orders").text
    assert "1 conflict between Amazon and FlexDash" in home
    assert 'href="/orders/conflicts"' in home.split('class="sidebar"')[1].split("</nav>")[0]

    refused = merchant.post(f"/orders/conflicts/{conflict.id}/close", data={"note": ""})
    assert refused.status_code == 422
    assert "Say how it was settled" in refused.text
    merchant.post(f"/orders/conflicts/{conflict.id}/close", data={"note": "The carrier brings it back."})

    assert db.session.get(OrderConflict, conflict.id).closed_at is not None
    assert number_of(order.id) not in merchant.get("/orders/conflicts").text
    closed = merchant.get("/orders/conflicts?show=closed").text
    assert "The carrier brings it back." in closed


# Cancelling -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_on", [False, True])
def test_cancelling_asks_first_and_says_what_it_does(
    merchant: FlaskClient, store: Store, hub: Hub, is_on: bool
) -> None:
    store.is_automated_cancellation_on = is_on
    order = worked(store, hub)
    page = merchant.get(f"/orders/{order.id}/cancel").text
    assert ("Amazon is told, because" in page) == is_on
    assert merchant.post(f"/orders/{order.id}/cancel").status_code == 422
    assert order.cancellation is OrderCancellation.NONE

    merchant.post(f"/orders/{order.id}/cancel", data={"reason": "OUT_OF_STOCK"})
    merchant.post(f"/orders/{order.id}/cancel", data={"reason": "OUT_OF_STOCK"})

    page = merchant.get(f"/orders/{order.id}").text
    if is_on:
        assert order.cancellation is OrderCancellation.CANCELLING
        assert "Cancelling …" in page
        assert offered(page) == []
    else:
        assert (order.state, order.cancellation) == (OrderState.CANCELLED, OrderCancellation.NOT_SENT)
        assert "Not cancelled on Amazon" in page
        assert "Automated Order Cancellation on Sales Channel was off for Pune Store." in page
        merchant.post(f"/orders/{order.id}/cancel/send")
        assert order.cancellation is OrderCancellation.CANCELLING
    assert "Cancelling …" in merchant.get("/orders").text


def test_an_order_that_has_left_is_not_cancelled(merchant: FlaskClient, store: Store) -> None:
    order = factories.make_order(store, OrderState.SHIPPED)
    page = merchant.get(f"/orders/{order.id}/cancel").text
    assert "it has left the hub, so it cannot be cancelled any more, only returned" in page
    assert 'name="reason"' not in page


def test_a_refused_cancellation_is_shown_with_amazons_words(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    words = "Amazon takes no cancellation of this order any more."
    order = worked(store, hub, cancellation=OrderCancellation.REFUSED, cancellation_message=words)
    page = merchant.get(f"/orders/{order.id}").text
    assert "Cancellation refused by Amazon" in page
    assert words in page
    assert offered(page) == WAY[OrderState.PICKED]


# Packages -------------------------------------------------------------------------------------------------------------


def picked(store: Store, hub: Hub, **line) -> Order:
    """Return a picked order of one line with three units, whose package lacks its size."""
    order = worked(store, hub)
    [row] = order.lines
    row.n_units = 3
    for name, value in line.items():
        setattr(row, name, value)
    for kind in (StepKind.PACKAGES, StepKind.SHIPPING_OPTION, StepKind.INVOICE, StepKind.LABELS):
        factories.make_step(order, kind)
    lines = [{"line_id": row.amazon_line_id, "n_units": 3}]
    db.session.add(OrderPackage(order_id=order.id, package_id=f"FD{order.id}-1", lines=lines))
    db.session.commit()
    return order


def sizes(number: int, **values: str) -> dict[str, str]:
    values = {"length_cm": "20", "width_cm": "15", "height_cm": "5.5", "weight_g": "300", **values}
    return {f"p{number}_{name}": value for name, value in values.items()}


def test_packages_are_added_removed_and_saved_without_any_script(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    order = picked(store, hub)
    path, units = f"/orders/{order.id}/packages", f"line{order.lines[0].id}_units"
    page = merchant.get(path).text
    assert "The package lacks its length, width, height and weight: the catalog does not say." in page

    typed = {"n_packages": "1", **sizes(1), f"p1_{units}": "2"}
    page = merchant.post(path, data={**typed, "action": "add"}).text
    assert "Package 2" in page
    assert 'value="5.5"' in page  # what was typed is kept
    assert db.session.scalars(select(OrderPackage.weight_g)).all() == [None]

    typed |= {"n_packages": "2", **sizes(2, weight_g="99"), f"p2_{units}": "1"}
    page = merchant.post(path, data={**typed, "action": "remove-1"}).text
    assert "Package 2" not in page
    assert 'value="99"' in page

    assert merchant.post(path, data={**typed, "action": "save"}).status_code == 303
    rows = db.session.scalars(select(OrderPackage).order_by(OrderPackage.id)).all()
    assert [(row.weight_g, row.lines[0]["n_units"]) for row in rows] == [(300, 2), (99, 1)]
    assert order.events[-1].sentence == "Asha changed how it is packed: 2 packages."


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"p1_weight_g": "4"}, "at least 5, which is Amazon&#39;s least"),
        ({"p1_weight_g": "1.5"}, "Give the weight in whole grams"),
        ({"p1_length_cm": "0"}, "Give the length in centimetres"),
        ({"p1_height_cm": "12,5"}, "Give the height in centimetres"),
        ({"p1_width_cm": "NaN"}, "Give the width in centimetres"),
        ({"units": "2"}, "the order has 3, the packages hold 2 together"),
        ({"units": "4"}, "give how many of the 3 units"),
        ({"units": "0"}, "Package 1 is empty"),
    ],
)
def test_a_wrong_value_is_said_beside_its_field_and_nothing_is_written(
    merchant: FlaskClient, store: Store, hub: Hub, changed: dict[str, str], said: str
) -> None:
    order = picked(store, hub)
    field = f"p1_line{order.lines[0].id}_units"
    typed = {"n_packages": "1", **sizes(1), field: "3"}
    typed |= {field if name == "units" else name: value for name, value in changed.items()}
    answer = merchant.post(f"/orders/{order.id}/packages", data=typed)
    assert answer.status_code == 422
    assert said in answer.text
    assert "There is a problem" in answer.text
    assert db.session.scalars(select(OrderPackage.weight_g)).all() == [None]


def test_amazon_is_asked_for_what_it_requires_and_never_sent_what_it_forbids(
    merchant: FlaskClient, store: Store, hub: Hub
) -> None:
    rules = {
        "serialNumberRequirement": "DISALLOWED",
        "countryOfOriginRequirement": "REQUIRED",
        "itemValueRequirement": "REQUIRED",
        "hazmatLabelsRequirement": "REQUIRED",
    }
    order = picked(store, hub, compliance=rules)
    path, line = f"/orders/{order.id}/packages", f"p1_line{order.lines[0].id}"
    page = merchant.get(path).text
    assert f"{line}_serial_numbers" not in page
    typed = {"n_packages": "1", **sizes(1), f"{line}_units": "3", f"{line}_serial_numbers": "S1"}
    page = merchant.post(path, data=typed).text
    for said in ("country of origin as two letters", "value of one unit", "wants its hazmat labels"):
        assert said in page
    typed |= {f"{line}_country_of_origin": "in", f"{line}_item_value": "499.00", f"{line}_hazmat_labels": "UN3481"}
    assert merchant.post(path, data=typed).status_code == 303
    [package] = db.session.scalars(select(OrderPackage)).all()
    assert package.lines == [
        {
            "line_id": "1",
            "n_units": 3,
            "country_of_origin": "IN",
            "item_value": ["499.00", "INR"],
            "hazmat_labels": ["UN3481"],
        }
    ]


def test_packages_of_an_order_whose_labels_are_made_stay_as_they_are(
    merchant: FlaskClient, store: Store, hub: Hub
) -> None:
    order = picked(store, hub)
    db.session.execute(db.update(OrderStep).values(state=StepState.DONE))
    db.session.commit()
    page = merchant.get(f"/orders/{order.id}/packages").text
    assert "Its labels are made, so the packages cannot be changed any more." in page
    assert "Save the packages" not in page
    assert merchant.post(f"/orders/{order.id}/packages", data={"n_packages": "1"}).status_code == 303


# Documents ------------------------------------------------------------------------------------------------------------


def test_a_document_is_handed_out_to_those_who_may_and_the_timeline_keeps_who_took_it(
    as_role: Callable[[str], FlaskClient], store: Store, hub: Hub
) -> None:
    order = worked(store, hub)
    document = factories.make_document(order, content=b"%PDF-1.4 to Meera", package_id="FD1-1")
    path = f"/orders/{order.id}/documents/{document.id}"

    answer = as_role(Role.MERCHANT).get(path)
    assert answer.data == b"%PDF-1.4 to Meera"
    assert answer.mimetype == "application/pdf"
    assert answer.headers["Content-Disposition"] == f"attachment; filename=FD-{order.id:06d}-label-FD1-1.pdf"
    assert answer.headers["Cache-Control"] == "no-store"
    assert order.events[-1].sentence == "Asha downloaded the label of package FD1-1 from 127.0.0.1."

    assert as_role(Role.SUPPORT).get(path).status_code == 403
    other = worked(store, hub)
    assert as_role(Role.MERCHANT).get(f"/orders/{other.id}/documents/{document.id}").status_code == 404


def test_a_file_of_an_unknown_type_is_handed_out_as_plain_bytes(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    from flexdash.database import transaction
    from flexdash.services.order_work import documents

    order = worked(store, hub)
    with transaction():
        documents.keep(order, "label", "text/html", b"<script>alert(1)</script>")
    document = db.session.scalars(select(OrderDocument)).one()
    answer = merchant.get(f"/orders/{order.id}/documents/{document.id}")
    assert answer.mimetype == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_reprint_is_asked_for_once_the_label_is_there(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    order = worked(store, hub)
    step = factories.make_step(order, StepKind.LABELS)
    merchant.post(f"/orders/{order.id}/reprint", data={"kind": "label"})
    assert "nothing that Amazon could make again yet" in merchant.get(f"/orders/{order.id}").text
    step.state = StepState.DONE
    db.session.commit()
    merchant.post(f"/orders/{order.id}/reprint", data={"kind": "label"})
    assert (step.state, step.detail) == (StepState.WAITING, {"is_reprint": True})


# Invoices -------------------------------------------------------------------------------------------------------------


def test_invoices_to_do_are_listed_with_the_link_counted_and_settled_by_hand(
    merchant: FlaskClient, store: Store, hub: Hub, settings
) -> None:
    assert "No invoice waits on Amazon" in merchant.get("/orders/invoices").text
    order = worked(store, hub, is_invoice_waiting=True, invoice_status="PENDING", amazon_order_id="403-1-2")
    step = factories.make_step(order, StepKind.INVOICE, not_before=orders.clock.now())
    page = merchant.get("/orders/invoices").text
    assert f'href="{settings.amazon_seller_central_url}/orders-v3/order/403-1-2"' in page
    assert '<span class="menu-count">1' in page
    assert "Its invoice waits on Amazon" in merchant.get(f"/orders/{order.id}").text

    answer = merchant.post(f"/orders/{order.id}/invoice-done", data={"back": "list"})
    assert answer.location.endswith("/orders/invoices")
    assert order.is_invoice_waiting is False
    assert (step.not_before, step.detail) == (None, {"is_settled_by_hand": True})
    assert '<span class="menu-count">' not in merchant.get("/orders/invoices").text


def test_the_counts_of_the_menu_cost_one_query(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    def queries() -> list[str]:
        seen: list[str] = []
        keep = lambda _c, _cur, statement, *_rest: seen.append(statement)  # noqa: E731
        event.listen(db.engine, "before_cursor_execute", keep)
        merchant.get("/sync-runs")
        event.remove(db.engine, "before_cursor_execute", keep)
        return [statement for statement in seen if "is_invoice_waiting" in statement and "count" in statement]

    worked(store, hub, is_invoice_waiting=True)
    assert len(queries()) == 1


def test_a_failed_step_is_shown_with_amazons_words_and_tried_again(
    merchant: FlaskClient, store: Store, hub: Hub
) -> None:
    order = worked(store, hub)
    step = factories.make_step(
        order, StepKind.LABELS, StepState.FAILED, n_attempts=5, error_sentence="Amazon made no label: no carrier."
    )
    page = merchant.get(f"/orders/{order.id}").text
    assert "Amazon made no label: no carrier." in page
    assert f"/orders/{order.id}/steps/{step.id}/retry" in page
    merchant.post(f"/orders/{order.id}/steps/{step.id}/retry")
    assert (step.state, step.n_attempts) == (StepState.WAITING, 0)
    other = worked(store, hub)
    assert merchant.post(f"/orders/{other.id}/steps/{step.id}/retry").status_code == 404


def test_markup_from_amazon_never_runs(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    evil = "<svg onload=alert(1)>"
    order = worked(store, hub, cancellation=OrderCancellation.REFUSED, cancellation_message=evil, moved_by=evil)
    factories.make_step(order, StepKind.LABELS, StepState.FAILED, error_sentence=evil)
    factories.make_conflict(order, sentence=evil)
    db.session.add(OrderPackage(order_id=order.id, package_id=evil, carrier_name=evil, tracking_number=evil, lines=[]))
    db.session.commit()
    for path in (f"/orders/{order.id}", f"/orders/{order.id}/packages", "/orders/conflicts"):
        assert evil not in merchant.get(path).text


# Shipments to fix -----------------------------------------------------------------------------------------------------


def test_shipments_to_fix_are_listed_counted_and_tried_again(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    assert "Every shipment goes its way" in merchant.get("/orders/to-fix").text
    assert "Shipments to fix" not in merchant.get("/sync-runs").text
    refused, lacking = worked(store, hub), worked(store, hub)
    label = factories.make_step(
        refused, StepKind.LABELS, StepState.FAILED, error_code="no_label", error_sentence="Amazon made no label."
    )
    factories.make_step(
        lacking, StepKind.PACKAGES, StepState.FAILED, error_code=LACKS_SOMETHING, error_sentence="It lacks its weight."
    )
    factories.make_step(worked(store, hub), StepKind.INVOICE)
    factories.make_step(worked(store, hub), StepKind.CANCEL, StepState.FAILED)

    page = merchant.get("/orders/to-fix").text
    assert "Amazon made no label." in page
    assert "It lacks its weight." in page
    assert f'href="/orders/{lacking.id}/packages"' in page
    assert '<span class="menu-count">2' in page
    assert page.count("/retry") == 1, "what lacks something is not tried again"
    assert "2 shipments to fix</a>" in merchant.get("/").text

    answer = merchant.post(f"/orders/{refused.id}/steps/{label.id}/retry", data={"back": "list"})
    assert answer.location.endswith("/orders/to-fix")
    page = merchant.get("/orders/to-fix").text
    assert f"{number_of(refused.id)} is tried again now." in page
    assert "Amazon made no label." not in page


@pytest.mark.parametrize("kind", [kind for kind in StepKind if kind is not StepKind.CANCEL])
def test_a_step_has_one_name_wherever_it_is_told_of(merchant: FlaskClient, store: Store, hub: Hub, kind) -> None:
    order = worked(store, hub)
    step = factories.make_step(order, kind, StepState.FAILED, error_sentence="Amazon refused it.")
    assert f'>{kind.words}<span class="cell-note">' in merchant.get(f"/orders/{order.id}").text
    assert f'>{kind.words}<span class="cell-note">' in merchant.get("/orders/to-fix").text
    assert f"{kind.words} failed</a>" in merchant.get("/orders").text
    task = Task(step.id, order.id, kind, "SB1", (), (), {}, (), False, False, "", 1)
    kept = results.item_of(Result(task, Ended.FAILED, "Amazon refused it."), StepState.FAILED)
    assert kept.words == f"{kind.words}: Amazon refused it."


def test_all_that_failed_are_tried_again_at_once_but_what_lacks_something(
    merchant: FlaskClient, store: Store, hub: Hub
) -> None:
    failed = [factories.make_step(worked(store, hub), StepKind.LABELS, StepState.FAILED) for _ in range(3)]
    lacking = factories.make_step(worked(store, hub), StepKind.PACKAGES, StepState.FAILED, error_code=LACKS_SOMETHING)
    foreign = factories.make_step(
        factories.make_order(factories.make_store(factories.make_seller(factories.make_workspace()))),
        StepKind.LABELS,
        StepState.FAILED,
    )
    page = merchant.get("/orders/to-fix").text
    assert "Retry all 3 of this page" in page
    every = [step.id for step in (*failed, lacking, foreign)]
    merchant.post("/orders/to-fix/retry", data={"step": every})
    assert "All 3 are tried again now." in merchant.get("/orders/to-fix").text
    assert [step.state for step in failed] == [StepState.WAITING] * 3
    assert (lacking.state, foreign.state) == (StepState.FAILED, StepState.FAILED)
    run = db.session.scalars(select(SyncRun).where(SyncRun.store_id == store.id)).one()
    assert run.trigger == "manual"
    merchant.post("/orders/to-fix/retry", data={"step": [*every, "x"]})
    assert "somebody else has seen to it" in merchant.get("/orders/to-fix").text


def test_a_cancelled_order_leaves_the_shipments_to_fix(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    order = worked(store, hub)
    factories.make_step(order, StepKind.LABELS, StepState.FAILED, error_sentence="Amazon made no label.")
    transitions.end_steps(order, (StepKind.LABELS,))
    db.session.commit()
    assert "Every shipment goes its way" in merchant.get("/orders/to-fix").text


def test_support_sees_the_shipments_to_fix_and_tries_nothing(as_role: Callable[[str], FlaskClient], store, hub) -> None:
    factories.make_step(worked(store, hub), StepKind.LABELS, StepState.FAILED, error_sentence="Amazon made no label.")
    support = as_role(Role.SUPPORT)
    page = support.get("/orders/to-fix").text
    assert "Amazon made no label." in page
    assert "/retry" not in page
    assert support.post("/orders/to-fix/retry").status_code == 403


def test_orders_are_found_by_what_they_need(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    failed, waiting, odd, refused, left = (worked(store, hub) for _ in range(5))
    factories.make_step(failed, StepKind.LABELS, StepState.FAILED)
    factories.make_step(failed, StepKind.SHIP, StepState.FAILED)
    waiting.is_invoice_waiting = True
    refused.acknowledgement = left.acknowledgement = Acknowledgement.REFUSED
    left.state = OrderState.SHIPPED  # nobody has to see to its acknowledgement any more
    db.session.commit()
    factories.make_conflict(odd)
    wanted = {"step": failed, "invoice": waiting, "conflict": odd, "acknowledgement": refused}
    for need, order in wanted.items():
        for of_store in ("", f"&store={store.id}"):
            page = merchant.get(f"/orders?needs={need}{of_store}").text
            assert re.findall(r'href="/orders/(\d+)">FD-', page) == [str(order.id)], need
    assert "Labels failed" in merchant.get("/orders?needs=step").text
    assert "Labels failed" in merchant.get("/orders").text
    assert len(re.findall(r'href="/orders/(\d+)">FD-', merchant.get("/orders?needs=money").text)) == 5


@pytest.mark.parametrize(
    ("need", "index"),
    [
        (orders.Need.INVOICE, "ix_orders_invoice_waiting"),
        (orders.Need.CONFLICT, "ix_orders_has_conflict"),
        (orders.Need.CANCELLATION, "ix_orders_open_cancellations"),
        (orders.Need.ACKNOWLEDGEMENT, "ix_orders_acknowledgement_refused"),
    ],
)
@pytest.mark.parametrize("is_of_store", [False, True])
def test_orders_that_need_a_person_are_listed_newest_first_from_their_index(store, need, index, is_of_store) -> None:
    if db.engine.dialect.name != "sqlite":
        pytest.skip("the statement's plan is asked in SQLite's words")
    filters = orders.OrderFilters(needs=need, store_id=store.id if is_of_store else None)
    found = orders.listing(Actor.system(store.workspace_id), filters).found
    query = found.order_by(Order.id.desc()).limit(51).compile(db.engine)
    values = [query.construct_params()[name] for name in query.positiontup]
    plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", tuple(values)).all()
    owner = "store_id" if is_of_store else "workspace_id"
    assert re.search(rf"INDEX {index}\w* \({owner}=\?\)", plan[0].detail), plan
    assert not any("TEMP B-TREE" in step.detail for step in plan), plan


def test_orders_that_need_a_retry_are_listed_once_newest_first_from_the_index_of_failed_steps(
    merchant: FlaskClient, store: Store
) -> None:
    older, newer = factories.make_order(store), factories.make_order(store)
    for order in (newer, older):
        for kind in ("cancel", "labels", "ship"):
            factories.make_step(order, kind, "failed")
    factories.make_step(factories.make_order(store), "cancel", "failed")  # a conflict, if anything
    pages = [merchant.get(f"/orders?needs=step{more}").text for more in ("", "&state=New+Order")]
    found = [re.findall(r'href="/orders/(\d+)">FD-', page) for page in pages]
    assert found == [[str(newer.id), str(older.id)]] * 2
    if db.engine.dialect.name == "sqlite":
        listing = orders.listing(Actor.system(store.workspace_id), orders.OrderFilters(needs=orders.Need.STEP))
        query = listing.found.order_by(listing.newest_by.desc()).limit(51).compile(db.engine)
        values = [query.construct_params()[name] for name in query.positiontup]
        plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", tuple(values)).all()
        assert "INDEX ix_order_steps_failed " in plan[0].detail, plan
        assert not any("TEMP B-TREE" in step.detail for step in plan), plan


def test_counting_what_is_told_above_the_list_stops_where_more_says_enough(
    merchant: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "AT_MOST", 2)
    for _ in range(3):
        factories.make_conflict(factories.make_order(store))
    assert "2 or more conflicts between Amazon and FlexDash" in merchant.get("/orders").text


def test_orders_whose_cancellation_amazon_does_not_have_are_found(merchant: FlaskClient, store: Store) -> None:
    def cancelled(cancellation: str, state: str = "Cancelled", **values) -> Order:
        return factories.make_order(store, state, cancellation=OrderCancellation(cancellation), **values)

    unsent, refused, disputed = cancelled("not_sent"), cancelled("refused", "Picked"), cancelled("refused")
    factories.make_conflict(disputed)
    cancelled("not_sent", amazon_status="SHIPPED")
    cancelled("refused", "Shipped")
    cancelled("refused")  # its conflict was closed: somebody has settled it
    cancelled("done", amazon_status="CANCELLED")
    cancelled("cancelling", "New Order")
    html = merchant.get("/orders?needs=cancellation").text
    found = [int(number) for number in re.findall(r'href="/orders/(\d+)">FD-', html)]
    assert found == [disputed.id, refused.id, unsent.id]
    assert '<option selected value="cancellation">Its cancellation on Amazon</option>' in html


def test_the_list_of_shipments_to_fix_asks_the_database_the_same_number_of_times(merchant, store, hub) -> None:
    def n_queries() -> int:
        seen: list[object] = []
        keep = lambda *args: seen.append(args)  # noqa: E731
        event.listen(db.engine, "before_cursor_execute", keep)
        merchant.get("/orders/to-fix")
        event.remove(db.engine, "before_cursor_execute", keep)
        return len(seen)

    factories.make_step(worked(store, hub), StepKind.LABELS, StepState.FAILED)
    few = n_queries()
    for _ in range(12):
        factories.make_step(worked(store, hub), StepKind.LABELS, StepState.FAILED)
    assert n_queries() == few
