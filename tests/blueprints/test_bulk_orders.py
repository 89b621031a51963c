"""The pages around many orders at once: ticking, results, labels, the pick list, saved lists."""

import io
import zipfile
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pypdf import PdfReader, PdfWriter

from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.jobs import work_batches
from flexdash.models import DocumentKind, Hub, Order, OrderEvent, OrderState, Role, Store, User, WorkBatch
from flexdash.services.order_numbers import number_of
from flexdash.services.order_work import documents
from tests import factories
from tests.support.web import words

SignIn = Callable[[User], FlaskClient]


@pytest.fixture
def store(app: Flask) -> Store:
    return factories.make_store(factories.make_seller(factories.make_workspace()), name="Pune Store")


@pytest.fixture
def merchant(store: Store, signed_in: SignIn) -> FlaskClient:
    return signed_in(factories.make_user(store.seller.workspace, Role.MERCHANT, name="Asha"))


@pytest.fixture
def support(store: Store, signed_in: SignIn) -> FlaskClient:
    return signed_in(factories.make_user(store.seller.workspace, Role.SUPPORT))


def pdf() -> bytes:
    with PdfWriter() as writer:
        writer.add_blank_page(100, 150)
        out = io.BytesIO()
        writer.write(out)
        return out.getvalue()


def keep_label(order: Order, content_type: str = "application/pdf", content: bytes | None = None) -> None:
    with transaction():
        documents.keep(db.session.get(Order, order.id), DocumentKind.LABEL, content_type, content or pdf(), "1")


def test_ticked_orders_are_packed_and_each_has_its_result(merchant: FlaskClient, store: Store) -> None:
    good, bad = factories.make_order(store, OrderState.PICKED), factories.make_order(store, OrderState.ON_HOLD)
    answer = merchant.post("/orders/batches", data={"action": "pack", "order": [str(good.id), str(bad.id)]})
    assert answer.status_code == 303
    batch_id = db.session.scalars(db.select(WorkBatch.id)).one()
    assert answer.location.endswith(f"/orders/batches/{batch_id}")
    waiting = merchant.get(answer.location).text
    assert "data-live-url" in waiting
    work_batches.run(batch_id)
    page = merchant.get(answer.location).text
    assert "data-live-url" not in page
    assert "Packed." in page
    assert "On Hold, so it cannot be packed" in page
    assert "Try the 1 order again" in page
    assert number_of(bad.id) in page
    assert "Pack" in merchant.get("/orders/batches").text


def test_where_no_order_was_done_they_are_listed_once(merchant: FlaskClient, store: Store) -> None:
    bad = [factories.make_order(store, OrderState.ON_HOLD) for _ in range(2)]
    answer = merchant.post("/orders/batches", data={"action": "pack", "order": [str(order.id) for order in bad]})
    work_batches.run(db.session.scalars(db.select(WorkBatch.id)).one())
    page = merchant.get(answer.location).text
    assert page.count("<table") == 1
    assert all(page.count(f">{number_of(order.id)}<") == 1 for order in bad)


def test_trying_again_takes_those_that_were_not_done(merchant: FlaskClient, store: Store) -> None:
    good, bad = factories.make_order(store, OrderState.PICKED), factories.make_order(store, OrderState.ON_HOLD)
    merchant.post("/orders/batches", data={"action": "pack", "order": [str(good.id), str(bad.id)]})
    first = db.session.scalars(db.select(WorkBatch.id)).one()
    work_batches.run(first)
    answer = merchant.post(f"/orders/batches/{first}/again")
    second = db.session.scalars(db.select(WorkBatch).order_by(WorkBatch.id.desc())).first()
    assert answer.location.endswith(f"/orders/batches/{second.id}")
    assert second.n_items == 1


def test_nothing_ticked_is_said(merchant: FlaskClient, store: Store) -> None:
    answer = merchant.post("/orders/batches", data={"action": "pack"})
    assert "No order was chosen" in merchant.get(answer.location).text
    assert merchant.post("/orders/batches", data={"action": "burn", "order": ["1"]}).status_code == 400


@pytest.mark.parametrize("path", ["/orders/batches", "/orders/labels"])
def test_nothing_ticked_leads_back_to_the_list_as_it_was_filtered(
    merchant: FlaskClient, store: Store, path: str
) -> None:
    factories.make_order(store, OrderState.PICKED)
    assert (
        'name="list" value="state=Picked&amp;sort=deadline"' in merchant.get("/orders?state=Picked&sort=deadline").text
    )
    answer = merchant.post(path, data={"action": "pack", "list": "state=Picked&sort=deadline"})
    assert answer.location.endswith("/orders?state=Picked&sort=deadline")
    elsewhere = merchant.post(path, data={"action": "pack", "list": "https://evil.example/?next=//evil.example"})
    assert elsewhere.location.endswith("/orders")


def test_boxes_stand_only_before_those_who_work_orders(
    merchant: FlaskClient, support: FlaskClient, store: Store
) -> None:
    order = factories.make_order(store)
    assert f'name="order" value="{order.id}"' in merchant.get("/orders").text
    assert 'name="order"' not in support.get("/orders").text
    assert support.post("/orders/batches", data={"action": "pick", "order": [str(order.id)]}).status_code == 403


def test_labels_of_many_orders_come_in_one_pdf(merchant: FlaskClient, store: Store) -> None:
    with_label = [factories.make_order(store, OrderState.PICKED) for _ in range(2)]
    without = factories.make_order(store)
    for order in with_label:
        keep_label(order)
    ids = [str(order.id) for order in (*with_label, without)]
    page = merchant.post("/orders/labels", data={"order": ids}).text
    assert "Download the labels of 2 orders" in page
    assert "was not picked here, so there is no label yet" in page
    answer = merchant.post("/orders/labels/file", data={"order": ids})
    assert answer.mimetype == "application/pdf"
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(PdfReader(io.BytesIO(answer.data)).pages) == 2
    said = db.session.scalars(db.select(OrderEvent.sentence).where(OrderEvent.order_id == with_label[0].id)).all()
    assert any("Asha downloaded the label" in sentence for sentence in said)


def test_labels_that_are_no_pdf_come_as_they_are(merchant: FlaskClient, store: Store) -> None:
    order, other, broken = (factories.make_order(store, OrderState.PICKED) for _ in range(3))
    keep_label(order)
    keep_label(other, "application/zpl", b"^XA^XZ")
    answer = merchant.post("/orders/labels/file", data={"order": [str(order.id), str(other.id)]})
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert sorted(name.rsplit(".")[-1] for name in archive.namelist()) == ["pdf", "zpl"]
    keep_label(broken, "application/pdf", b"no pdf at all")
    assert merchant.post("/orders/labels/file", data={"order": [str(broken.id)]}).mimetype == "application/zip"


def test_labels_are_not_for_everyone(support: FlaskClient, store: Store) -> None:
    order = factories.make_order(store, OrderState.PICKED)
    keep_label(order)
    assert support.post("/orders/labels/file", data={"order": [str(order.id)]}).status_code == 403


def test_the_pick_list_adds_up_what_a_hub_takes_from_its_shelves(merchant: FlaskClient, store: Store) -> None:
    workspace = store.seller.workspace
    hub: Hub = factories.make_hub(workspace, name="Pune Warehouse")
    factories.make_listing(store, "TEE", name="T-shirt, black")
    for state in (OrderState.NEW, OrderState.NEW, OrderState.PICKED):
        order = factories.make_order(store, state, hub=hub)
        order.lines[0].sku_code, order.lines[0].n_units = "TEE", 2
    factories.make_order(store, OrderState.NEW, hub=factories.make_hub(workspace))
    db.session.commit()
    page = merchant.get(f"/orders/pick-list?hub={hub.id}").text
    assert "4 units for 2 New Orders" in page
    assert "T-shirt, black" in page
    assert page.count("2 × TEE") == 2
    assert "Pick a hub" in merchant.get("/orders/pick-list").text
    foreign = factories.make_hub(factories.make_workspace())
    assert merchant.get(f"/orders/pick-list?hub={foreign.id}").status_code == 404


def test_a_list_is_saved_found_again_and_removed(merchant: FlaskClient, support: FlaskClient, store: Store) -> None:
    factories.make_order(store, OrderState.PICKED)
    saved = {"state": "Picked", "sort": "deadline", "name": "Being packed"}
    answer = merchant.post("/orders/saved", data=saved)
    assert answer.location.endswith("/orders?state=Picked&sort=deadline")
    page = merchant.get(answer.location).text
    assert "Being packed" in page
    assert "Being packed" not in support.get("/orders").text  # it is the person's own
    merchant.post("/orders/saved", data={**saved, "sort": ""})  # the same name again takes its place
    assert "/orders?state=Picked&amp;sort=deadline" not in merchant.get("/orders").text
    remove = "/orders/saved/" + merchant.get("/orders?state=Picked").text.split('href="/orders/saved/')[1].split('"')[0]
    assert {support.get(remove).status_code, support.post(remove).status_code} == {404}
    asked = merchant.get(remove)
    assert "Remove the saved list “Being packed”?" in words(asked)
    assert '<a class="btn btn-outline-secondary" href="/orders?state=Picked">Keep it</a>' in asked.text
    assert "Being packed" in merchant.get("/orders").text
    merchant.post(remove)
    assert "Being packed" not in merchant.get("/orders").text


@pytest.mark.parametrize(("name", "said"), [("", "Give the list a name"), ("x" * 61, "61 characters")])
def test_a_list_without_a_good_name_is_not_saved(merchant: FlaskClient, store: Store, name: str, said: str) -> None:
    picked = [factories.make_order(store, OrderState.PICKED) for _ in range(51)]
    factories.make_order(store)
    answer = merchant.post("/orders/saved", data={"state": "Picked", "name": name})
    assert answer.status_code == 422
    assert said in answer.text.split('href="#save-name"')[1].split("</a>")[0]
    assert f'value="{name}"' in answer.text, "what was typed is kept"
    assert '<option selected value="Picked">' in answer.text
    assert answer.text.count('name="order"') == 50
    following = answer.text.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    assert number_of(picked[0].id) in merchant.get(following).text
