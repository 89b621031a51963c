"""Evidence packs: everything about one order or SKU, nobody's data, and nothing a spreadsheet would run."""

import csv
import io
import json
import zipfile

import pytest
from sqlalchemy import event

from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import AccessEvent, ApiCall, ItemFate, Order, OrderEvent
from flexdash.services import evidence, run_sheets
from flexdash.services.errors import FieldRefused, NotVisible, ServiceError
from tests import factories
from tests.support.pulls import MAPPED, SELLER, do_run, make_pulled_store
from tests.support.recoveries import lift_pace

BUYER = {
    "name": "Canary Qzxname",
    "phone": "+91 98220 77777",
    "email": "canary@qzx.example",
    "address_lines": ["12 Qzxstreet"],
    "postal_code": "411777",
    "city": "Pune",
    "country_code": "IN",
    "gift_message": "Qzxgift for you",
}
CANARIES = ("Qzxname", "98220", "canary@", "Qzxstreet", "411777", "Qzxgift", "Atza", "Atzr")


@pytest.fixture
def store(workspace):
    return factories.make_store(factories.make_seller(workspace), name="Pune Store", refresh_token="Atzr|canary")


@pytest.fixture
def actor(workspace):
    return factories.make_actor(factories.make_user(workspace, "support", name="Asha"))


def opened(pack) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(pack.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode("utf-8-sig") for name in archive.namelist()}


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def order(store):
    order = factories.make_order(store, buyer=json.dumps(BUYER), amazon_order_id="403-1234567-7654321")
    run = factories.make_run(store)
    factories.make_call(
        store,
        "refused",
        run=run,
        amazon_shipment_id=order.amazon_shipment_id,
        amazon_request_id="r-77",
        error_message="Canary Qzxname of 12 Qzxstreet cannot be served",
        answered='{"message": "call +91 98220 77777, Atza|leak"}',
    )
    db.session.add_all(
        [
            OrderEvent(order_id=order.id, kind="imported", sentence="=cmd|' /C calc'!A0", run_id=run.id),
            OrderEvent(order_id=order.id, kind="revealed", sentence="Asha looked at the buyer's data from 10.0.0.7."),
        ]
    )
    db.session.commit()
    shipment_id, run_id = order.amazon_shipment_id, run.id
    with transaction():
        run_sheets.keep(run_id, [run_sheets.Item(ItemFate.CREATED, shipment_id, words="ACCEPTED")])
    return order


def test_the_pack_of_an_order_has_its_timeline_calls_runs_and_state(actor, order):
    pack = evidence.order_pack(actor, order.id)
    assert pack.file_name.startswith(f"evidence-FD-{order.id:06d}-403-1234567-7654321-")
    files = opened(pack)
    assert list(files) == [
        "README.txt",
        "timeline.csv",
        "calls.csv",
        "runs.csv",
        "outcomes.csv",
        "steps.csv",
        "state.json",
    ]
    [call] = rows(files["calls.csv"])
    assert (call["amazon_request_id"], call["outcome"], call["http_status"]) == ("r-77", "refused", "400")
    [run] = rows(files["runs.csv"])
    assert (run["sync"], run["sync_run"]) == ("Order Sync", call["sync_run"])
    [outcome] = rows(files["outcomes.csv"])
    assert (outcome["outcome"], outcome["item"]) == ("created", order.amazon_shipment_id)
    state = json.loads(files["state.json"])
    assert (state["amazon_order_id"], state["lines"][0]["units"]) == ("403-1234567-7654321", 1)
    assert "r-77" not in files["README.txt"]
    assert order.store.amazon_selling_partner_id in files["README.txt"]


def test_nobodys_data_is_in_a_pack(actor, order):
    everything = "\n".join(opened(evidence.order_pack(actor, order.id)).values())
    assert [word for word in CANARIES if word in everything] == []
    assert "10.0.0.7" not in everything
    assert "[hidden]" in everything


def test_ids_stay_whole_whatever_the_buyer_is_called(actor, store):
    order = factories.make_order(store, buyer=json.dumps(BUYER | {"address_lines": ["404"], "name": "Ship"}))
    call = {"amazon_shipment_id": order.amazon_shipment_id, "amazon_request_id": "a404b9c1-1404", "path": "/shipments"}
    factories.make_call(store, "refused", error_message="No way to 404 for SHIP, a404b", **call)
    [kept] = rows(opened(evidence.order_pack(actor, order.id))["calls.csv"])
    assert (kept["amazon_request_id"], kept["path"]) == ("a404b9c1-1404", "/shipments")
    assert kept["error_message"] == "No way to [hidden] for [hidden], a404b"


def test_what_people_wrote_is_kept_without_telephone_numbers(actor, store):
    order = factories.make_order(store)
    factories.make_conflict(order, note="Called on +91 98765 43210 or 9876543210 about 403-1234567-7654321")
    state = json.loads(opened(evidence.order_pack(actor, order.id))["state.json"])
    assert state["conflicts"][0]["note"] == "Called on [hidden] or [hidden] about 403-1234567-7654321"


def test_without_the_key_to_the_buyers_data_there_is_no_pack(actor, order):
    order.buyer_encrypted = b"gAAAAAunreadable"
    db.session.commit()
    with pytest.raises(ServiceError, match="the key that opens this order's buyer data is missing"):
        evidence.order_pack(actor, order.id)


def test_a_table_keeps_the_newest_rows_and_says_so(actor, order, store, monkeypatch):
    monkeypatch.setattr("flexdash.services.evidence.pack.MOST_ROWS", 2)
    for n in range(3):
        factories.make_call(store, amazon_shipment_id=order.amazon_shipment_id, amazon_request_id=f"r-{n}")
    files = opened(evidence.order_pack(actor, order.id))
    assert [call["amazon_request_id"] for call in rows(files["calls.csv"])] == ["r-1", "r-2"]
    assert "calls.csv has the newest 2 rows; there are more." in files["README.txt"]


def test_no_cell_of_a_pack_is_run_by_a_spreadsheet(actor, order):
    timeline = rows(opened(evidence.order_pack(actor, order.id))["timeline.csv"])
    assert timeline[0]["what"].startswith("'=cmd")


@pytest.fixture
def sku(store):
    hub = factories.make_hub(store.seller.workspace, name="Pune Warehouse")
    factories.make_sellable(store, hub, "A/1", on_hand=7)
    listing = next(iter(db.session.scalars(db.select(factories.Listing))))
    run = factories.make_run(store)
    call = factories.make_call(store, run=run, operation="batchInventory", amazon_request_id="r-batch")
    price = factories.make_call(store, operation="patchListingsItem", sku_code="A/1")
    factories.make_call(store, amazon_request_id="r-other")
    run_id = run.id
    with transaction():
        item = run_sheets.Item(ItemFate.SENT, "A/1", place="EXSB", words="7 units", request_id="r-batch")
        run_sheets.keep(run_id, [item])
    return listing, [call.amazon_request_id, price.amazon_request_id]


@pytest.mark.parametrize("way", ["listing", "stock"])
def test_the_pack_of_a_sku_has_the_calls_that_carried_it(actor, store, sku, way):
    listing, request_ids = sku
    level = db.session.scalars(db.select(factories.StockLevel)).one()
    if way == "listing":
        pack = evidence.listing_pack(actor, store.id, listing.id)
    else:
        pack = evidence.stock_pack(actor, level.id)
    assert pack.file_name.startswith("evidence-sku-A-1-")
    files = opened(pack)
    assert {row["amazon_request_id"] for row in rows(files["calls.csv"])} == set(request_ids)
    [outcome] = rows(files["outcomes.csv"])
    assert (outcome["words"], outcome["amazon_request_id"]) == ("7 units", "r-batch")
    [movement] = rows(files["timeline.csv"])
    assert (movement["hub"], movement["on_hand_after"]) == ("Pune Warehouse", "7")
    assert json.loads(files["state.json"])["stock"][0]["on_hand"] == 7


def test_a_pack_of_another_workspace_or_seller_is_not_made(order, sku, store, workspace):
    listing, _ = sku
    level = db.session.scalars(db.select(factories.StockLevel)).one()
    foreign = factories.make_actor(factories.make_user(factories.make_workspace(), "admin"))
    limited = factories.make_actor(factories.make_user(workspace, sellers=[factories.make_seller(workspace)]))
    for stranger in (foreign, limited):
        with pytest.raises(NotVisible):
            evidence.order_pack(stranger, order.id)
        with pytest.raises(NotVisible):
            evidence.listing_pack(stranger, store.id, listing.id)
        with pytest.raises(NotVisible):
            evidence.stock_pack(stranger, level.id)


def test_the_number_of_queries_does_not_grow_with_what_is_in_it(actor, order, store):
    def n_queries() -> int:
        db.session.rollback()
        db.session.expire_all()
        order_id = order.id
        statements = []
        listen = lambda *args: statements.append(args[2])  # noqa: E731
        event.listen(db.engine, "before_cursor_execute", listen)
        try:
            evidence.order_pack(actor, order_id)
        finally:
            event.remove(db.engine, "before_cursor_execute", listen)
        return len(statements)

    few = n_queries()
    for _ in range(10):
        run = factories.make_run(store)
        factories.make_call(store, run=run, amazon_shipment_id=order.amazon_shipment_id)
        db.session.add(OrderEvent(order_id=order.id, kind="changed", sentence="Again.", run_id=run.id))
    db.session.commit()
    assert n_queries() == few


def test_each_page_leads_to_its_pack(signed_in, workspace, order, sku, store):
    web = signed_in(factories.make_user(workspace, "support"))
    level = db.session.scalars(db.select(factories.StockLevel)).one()
    listing, _ = sku
    for page in (f"/orders/{order.id}", f"/stores/{store.id}/catalog/{listing.id}", f"/stock/{level.id}"):
        assert f'href="{page}/evidence.zip"' in web.get(page).text
        answer = web.get(f"{page}/evidence.zip")
        assert (answer.status_code, answer.mimetype) == (200, "application/zip")
        assert answer.headers["Content-Disposition"].startswith('attachment; filename="evidence-')
    taken = db.session.scalars(db.select(AccessEvent.sentence).order_by(AccessEvent.id)).all()[-3:]
    assert f"exported the evidence for order FD-{order.id:06d}" in taken[0]
    assert all("exported the evidence for SKU A/1" in sentence for sentence in taken[1:])


# What a pull brings, and what it does not -----------------------------------------------------------------------------


@pytest.fixture
def pulled(app, sandbox, monkeypatch):
    """A store whose orders come from the sandbox."""
    sandbox.control.plans({"*": None})
    lift_pace(monkeypatch)
    return make_pulled_store(sandbox, name="Pulled Store")


def asker(store, role: str = "support"):
    return factories.make_actor(factories.make_user(store.seller.workspace, role))


def operations(calls: str) -> list[str]:
    return [call["operation"] for call in rows(calls)]


def test_the_pack_of_an_order_has_the_list_that_brought_it_with_amazons_request_id(pulled, sandbox):
    sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER)
    do_run(pulled)
    brought = {call.amazon_request_id for call in db.session.query(ApiCall)}
    do_run(pulled)  # which sees it unchanged, and is no news of it
    order = db.session.query(Order).one()
    files = opened(evidence.order_pack(asker(pulled), order.id))
    assert operations(files["calls.csv"]) == ["getShipments", "processShipment"]
    ids = [call["amazon_request_id"] for call in rows(files["calls.csv"])]
    assert set(ids) <= brought
    outcomes = {outcome["outcome"]: outcome["amazon_request_id"] for outcome in rows(files["outcomes.csv"])}
    assert [outcomes["created"], outcomes["acknowledged"]] == ids


def test_what_a_run_did_with_an_order_is_found_however_much_runs_did_since(pulled, sandbox, monkeypatch):
    sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER)
    do_run(pulled)
    order_id = db.session.query(Order.id).scalar()
    monkeypatch.setattr("flexdash.services.evidence.of_order.MOST_SHEETS", 0)
    files = opened(evidence.order_pack(asker(pulled), order_id))
    assert [outcome["outcome"] for outcome in rows(files["outcomes.csv"])] == ["created", "acknowledged"]


@pytest.fixture
def quarantined(pulled, sandbox) -> dict[str, str]:
    """A shipment that Amazon sends without its SKU, under its own id and its order's."""
    [shipment_id] = sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER)
    order_id = sandbox.control.shipment(shipment_id)["body"]["shipmentInfo"]["buyerOrderId"]
    sandbox.control.fault("odd_broken_line", count=20)
    do_run(pulled)
    return {"shipment": shipment_id, "order": order_id}


@pytest.mark.parametrize("asked_by", ["shipment", "order"])
def test_there_is_a_pack_of_what_waits_in_quarantine(pulled, quarantined, asked_by):
    pack = evidence.missing_pack(asker(pulled), f" {quarantined[asked_by]} ")
    assert pack.file_name.startswith(f"evidence-not-here-{quarantined[asked_by]}-")
    files = opened(pack)
    [waiting] = rows(files["quarantine.csv"])
    assert (waiting["amazon_shipment_id"], waiting["store"]) == (quarantined["shipment"], "Pulled Store")
    assert waiting["in_words"]
    [call] = rows(files["calls.csv"])
    assert (call["operation"], call["sync_run"]) == ("getShipments", waiting["sync_run"])
    [outcome] = rows(files["outcomes.csv"])
    assert (outcome["outcome"], outcome["amazon_request_id"]) == ("failed", call["amazon_request_id"])
    assert [run["sync_run"] for run in rows(files["runs.csv"])] == [waiting["sync_run"]]
    state = json.loads(files["state.json"])
    assert (state["is_here"], state["stores"][0]["is_order_sync_on"]) == (False, True)
    assert "which is no order in FlexDash" in files["README.txt"]


def test_a_pack_of_an_id_that_nobody_ever_met_says_how_the_stores_stand(pulled):
    files = opened(evidence.missing_pack(asker(pulled), "404-1234567-1234567", pulled.id))
    assert [rows(files[name]) for name in ("quarantine.csv", "calls.csv", "runs.csv", "outcomes.csv")] == [[]] * 4
    assert json.loads(files["state.json"])["stores"][0]["store"] == "Pulled Store"


def test_an_id_that_is_here_gives_the_pack_of_the_order(pulled, sandbox):
    [shipment_id] = sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER)
    do_run(pulled)
    assert evidence.missing_pack(asker(pulled), shipment_id).file_name.startswith("evidence-FD-")


def test_an_id_of_several_orders_here_leads_to_the_pack_of_each(pulled, sandbox):
    sandbox.control.create_orders(2, location_id=MAPPED, seller_id=SELLER)
    do_run(pulled)
    first, second = db.session.scalars(db.select(Order).where(Order.store_id == pulled.id).order_by(Order.id))
    second.amazon_order_id = first.amazon_order_id
    db.session.commit()
    with pytest.raises(FieldRefused, match=f"{first.amazon_shipment_id}.*Each has an evidence pack"):
        evidence.missing_pack(asker(pulled), first.amazon_order_id)


@pytest.mark.parametrize("text", ["unreadable:Asha did it", "unreadable:\0", "unreadable:12ab"])
def test_only_a_payloads_hash_is_taken_for_what_could_not_be_read(pulled, text):
    with pytest.raises(FieldRefused):
        evidence.missing_pack(asker(pulled), text)


def test_a_pack_of_what_is_not_here_stays_within_what_a_person_sees(workspace, quarantined, pulled):
    stranger = factories.make_actor(factories.make_user(workspace, "admin"))
    files = opened(evidence.missing_pack(stranger, quarantined["shipment"]))
    assert rows(files["quarantine.csv"]) == rows(files["calls.csv"]) == rows(files["outcomes.csv"]) == []
    with pytest.raises(NotVisible):
        evidence.missing_pack(stranger, quarantined["shipment"], pulled.id)
    with pytest.raises(FieldRefused):
        evidence.missing_pack(stranger, "")
