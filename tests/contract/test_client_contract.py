"""Every request the Amazon client sends against Amazon's models, and the client against the sandbox."""

import json
from datetime import UTC, datetime
from urllib.parse import parse_qs

import httpx
import pytest
from cryptography.fernet import Fernet

from flexdash.amazon import errors
from flexdash.amazon.client import AmazonClient, AmazonSettings
from flexdash.amazon.inventory import InventoryItem, InventoryUpdate
from flexdash.amazon.packages import Courier, Package, PackageLine
from flexdash.amazon.return_reader import read_return
from flexdash.amazon.return_statuses import RETURN_STATUSES
from flexdash.amazon.returns import ReturnFilter
from flexdash.amazon.shipment_reader import read_shipment
from flexdash.amazon.shipments import PACKAGE_STATUSES, PACKAGE_SUB_STATUSES, REJECTION_REASONS
from flexdash.amazon.statuses import STATUSES, lookup
from flexdash.vault import Vault
from tests.contract.models import ContractBreach, Models

SELLER = "A3SBXSUNRISEIN"
MARKETPLACE = "A21TJRUUN4KGV"
NOON = datetime(2026, 11, 23, 12, 0, 0, 5, tzinfo=UTC)
TOKEN_PATH = "/auth/o2/token"

pytestmark = pytest.mark.contract


class Judge(httpx.BaseTransport):
    """Stands between the client and `inner`: holds every request, and every answer, against the models."""

    def __init__(self, models, inner, *, judges_answers=True):
        self.models, self.inner, self.judges_answers = models, inner, judges_answers
        self.operations = []

    def handle_request(self, request):
        path, _, query = request.url.raw_path.decode("ascii").partition("?")
        if path != TOKEN_PATH:
            self.check(request, path, query)
        response = self.inner.handle_request(request)
        if path != TOKEN_PATH and self.judges_answers:
            body = response.read()
            self.models.check_response(request.method, path, response.status_code, json.loads(body) if body else None)
            return httpx.Response(response.status_code, headers=response.headers, content=body)
        return response

    def check(self, request, path, query):
        pairs = parse_qs(query, keep_blank_values=True, strict_parsing=bool(query))
        given = {name: values[0] if len(values) == 1 else values for name, values in pairs.items()}
        content = request.read()
        if content:
            assert request.headers["content-type"] == "application/json"
        body = json.loads(content) if content else None
        self.operations.append(self.models.check_request(request.method, path, given, body))
        assert request.headers["x-amz-access-token"]
        assert request.headers["user-agent"].startswith("FlexDash/")
        assert "authorization" not in request.headers
        for line in (body or {}).get("requests", []):
            verb, _, line_query = line["uri"].partition("?")
            assert verb in ("/inventory/update", "/inventory/fetch")
            assert set(parse_qs(line_query, strict_parsing=True)) == {"locationId", "skuId"}

    def close(self):
        self.inner.close()


def amazon_that_says_yes(request):
    """Just enough of an answer for every operation, so that all that is judged is the request."""
    if request.url.path == TOKEN_PATH:
        return httpx.Response(200, json={"access_token": "Atza|x", "refresh_token": "Atzr|x", "expires_in": 3600})
    answers = {"invoice": {"document": {"content": ""}}, "shipLabels": {"packageShipLabelList": []}}
    answer = answers.get(request.url.path.rsplit("/", 1)[1], {"responses": [], "payload": []})
    return httpx.Response(200, json=answer)


def client_through(judge, redis_connection, **changes):
    settings = AmazonSettings(
        client_id="amzn1.application-oa2-client.flexdash-sandbox",
        client_secret="flexdash-sandbox-secret",
        shipments_rps=1000,
        timeout_seconds=10,
        **changes.pop("settings", {}),
    )
    facts = {"partner_id": SELLER, "region": "EU", "refresh_token": "Atzr|x", **changes}
    vault = Vault([Fernet.generate_key().decode()])
    return AmazonClient(settings, redis_connection, vault, http=httpx.Client(transport=judge), **facts)


@pytest.fixture(scope="module")
def models():
    return Models.load()


@pytest.fixture
def judge(models):
    return Judge(models, httpx.MockTransport(amazon_that_says_yes), judges_answers=False)


@pytest.fixture
def client(judge, redis_connection):
    return client_through(judge, redis_connection)


LINE = PackageLine("1", 2, serial_numbers=["S1", "S2"], country_of_origin="IN", item_value=("10.50", "INR"))
BOX = Package("P/1", 10, "12.5", 5, "0.4", [LINE, PackageLine("2", 1)], weight_unit="KG", hazmat_labels=["UN3481"])
BARE_BOX = Package("P2", 1, 1, 1, 5, [PackageLine("1", 1)])
STOCK = InventoryItem("EXSB", "SKU 1/&ü", MARKETPLACE)

REQUESTS = {
    "getShipments": [
        *(lambda c, status=status: c.shipments.page(status) for status in STATUSES),
        lambda c: c.shipments.page("CONFIRMED", MARKETPLACE, "FBA", "EXSB", NOON, NOON.replace(hour=13), 1, "t/ =&"),
        lambda c: c.shipments.page("CONFIRMED", location_id="x" * 36, channel_name="x" * 10, max_results=100),
        lambda c: list(c.shipments.pages("ACCEPTED", token="t")),
    ],
    "getShipment": [lambda c: c.shipments.get("D1/ü #?")],
    "processShipment": [
        lambda c: c.shipments.confirm("D1"),
        *(lambda c, reason=reason: c.shipments.reject("D1", "ref", ["1", "2"], reason) for reason in REJECTION_REASONS),
    ],
    "createPackages": [lambda c: c.shipments.create_packages("D1", [BOX, BARE_BOX])],
    "updatePackage": [lambda c: c.shipments.update_package("D1", BOX)],
    "updatePackageStatus": [
        lambda c: c.shipments.mark_shipped("D1", "P/1"),
        lambda c: c.shipments.mark_shipped("D1", "P1", in_query=False),
        *(
            lambda c, status=status: c.shipments.update_package_status("D1", "P1", status)
            for status in PACKAGE_STATUSES
        ),
        *(
            lambda c, sub=sub: c.shipments.update_package_status("D1", "P1", "SHIPPED", sub, "x" * 128)
            for sub in PACKAGE_SUB_STATUSES
        ),
    ],
    "retrieveShippingOptions": [lambda c: c.shipments.shipping_options("D1", "P/1")],
    "generateInvoice": [lambda c: c.shipments.generate_invoice("D1")],
    "retrieveInvoice": [lambda c: c.shipments.retrieve_invoice("D1")],
    "generateShipLabels": [
        lambda c: c.shipments.ship_labels("D1"),
        lambda c: c.shipments.ship_labels("D1", ["P1"] * 50, shipping_option_id="o 1", courier=Courier("C", "T")),
        lambda c: c.shipments.ship_labels("D1", is_reprint=True),
    ],
    "batchInventory": [
        lambda c: c.inventory.fetch([STOCK]),
        lambda c: c.inventory.update([InventoryUpdate("EXSB", "S", MARKETPLACE, quantity=0)]),
        lambda c: c.inventory.update(
            [
                InventoryUpdate("DEFAULT", str(n), MARKETPLACE, channel, 2**31 - 1, 2**62)
                for n, channel in enumerate(("FBA", "MFN", "DF", *["FBA"] * 7))
            ]
        ),
    ],
    "listReturns": [
        lambda c: c.returns.page(ReturnFilter()),
        *(
            lambda c, status=status: c.returns.page(
                ReturnFilter(location_id="EXSB", status=status, updated_since=NOON, updated_until=NOON.replace(hour=13))
            )
            for status in RETURN_STATUSES
        ),
        lambda c: c.returns.page(
            ReturnFilter(
                rma_id="R/1", reverse_tracking_id="T&1", created_since=NOON, created_until=NOON.replace(hour=13)
            ),
            1,
            "t/ =&",
        ),
        lambda c: list(c.returns.pages(ReturnFilter(), token="t")),
    ],
    "getReturn": [lambda c: c.returns.get("R1/ü #?")],
    "getMarketplaceParticipations": [lambda c: c.sellers.marketplace_participations()],
}


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("operation", REQUESTS)
def test_every_request_holds_the_model(judge, client, operation):
    for send in REQUESTS[operation]:
        send(client)
    assert set(judge.operations) == {operation}
    assert len(judge.operations) == len(REQUESTS[operation])


def test_the_judge_finds_a_breach(judge):
    with httpx.Client(transport=judge) as http, pytest.raises(ContractBreach):
        http.get("https://x/externalFulfillment/2024-09-11/shipments?status=NEW")


@pytest.fixture
def at_sandbox(sandbox, models, redis_connection):
    judge = Judge(models, httpx.HTTPTransport())
    sandbox.control.plans({"*": None})
    client = client_through(
        judge,
        redis_connection,
        refresh_token=sandbox.control.issue_tokens(SELLER)["refresh_token"],
        settings={"lwa_url": sandbox.lwa_url, "api_url": sandbox.api_url},
    )
    client.judge = judge
    yield client
    judge.close()


def test_a_code_of_the_sandbox_becomes_an_authorization_once(sandbox, redis_connection):
    settings = AmazonSettings(
        client_id=sandbox.config.client_id, client_secret=sandbox.config.client_secret, lwa_url=sandbox.lwa_url
    )
    redirect_uri = "http://127.0.0.1:8000/amazon/callback"
    code = sandbox.control.issue_code(redirect_uri)
    assert AmazonClient.exchange_code(settings, code, redirect_uri).refresh_token.startswith("Atzr|")
    with pytest.raises(errors.AuthorizationRefused):
        AmazonClient.exchange_code(settings, code, redirect_uri)


def test_all_pages_are_read_over_an_empty_one_and_acknowledged(sandbox, at_sandbox):
    made = sandbox.control.create_orders(25, location_id="EXSB")
    sandbox.control.fault("empty_page", page=1)
    pages = list(at_sandbox.shipments.pages("ACCEPTED", MARKETPLACE, "FBA", "EXSB", max_results=10))
    assert 0 in [len(page.shipments) for page in pages]
    found = [read_shipment(raw) for page in pages for raw in page.shipments]
    assert sorted(shipment.id for shipment in found) == sorted(made)
    assert all(lookup(shipment.status).needs_acknowledgement and shipment.total for shipment in found)
    assert all(shipment.buyer.name and shipment.created_at and shipment.placed_at for shipment in found)
    for shipment in found:
        at_sandbox.shipments.confirm(shipment.id)
    assert list(at_sandbox.shipments.page("ACCEPTED").shipments) == []
    with pytest.raises(errors.StateConflict):
        at_sandbox.shipments.confirm(made[0])


def test_a_shipment_goes_its_whole_way(sandbox, at_sandbox):
    [shipment_id] = sandbox.control.create_orders(1, lines=2, sku_codes=["MUG-STD", "NOTE-A5"])
    sandbox.control.options(has_shipping_options=True)
    amazon = at_sandbox.shipments
    amazon.confirm(shipment_id)
    shipment = read_shipment(amazon.get(shipment_id))
    lines = [PackageLine(line.id, line.n_units) for line in shipment.lines]
    amazon.create_packages(shipment_id, [Package("P1", 10, 10, 10, 250, lines)])
    amazon.update_package(shipment_id, Package("P1", 11, 10, 10, 260, lines))
    options = amazon.shipping_options(shipment_id, "P1").options
    assert amazon.generate_invoice(shipment_id) == amazon.retrieve_invoice(shipment_id)
    labels = amazon.ship_labels(shipment_id, ["P1", "P9"], shipping_option_id=options[0].id)
    assert [label.is_success for label in labels] == [True, False]
    assert labels[0].tracking_id
    amazon.mark_shipped(shipment_id, "P1")
    assert read_shipment(amazon.get(shipment_id)).status == "SHIPPED"


def test_a_rejected_shipment_says_so(sandbox, at_sandbox):
    [shipment_id] = sandbox.control.create_orders(1)
    shipment = read_shipment(at_sandbox.shipments.get(shipment_id))
    at_sandbox.shipments.reject(shipment_id, "ref-1", [line.id for line in shipment.lines], "OUT_OF_STOCK")
    assert read_shipment(at_sandbox.shipments.get(shipment_id)).cancellation.kind == "SELLER_REJECTED"


@pytest.mark.usefixtures("soon")
def test_quantities_are_set_read_and_refused_line_by_line(sandbox, at_sandbox):
    results = at_sandbox.inventory.update(
        [
            InventoryUpdate("EXSB", f"SKU {number}/&", MARKETPLACE, quantity=number, sequence_number=10)
            for number in range(10)
        ]
    )
    assert all(result.is_accepted for result in results)
    sandbox.control.fault("shuffled_batch")
    items = [InventoryItem("EXSB", f"SKU {number}/&", MARKETPLACE) for number in range(10)]
    assert [result.sellable_quantity for result in at_sandbox.inventory.fetch(items)] == list(range(10))


@pytest.mark.usefixtures("soon")
def test_returns_are_listed_over_an_empty_page_and_read(sandbox, at_sandbox):
    made = []
    for shipment_id in sandbox.control.create_orders(5, status="DELIVERED", lines=1, location_id="EXSB"):
        made += sandbox.control.create_returns(shipment_id, status="DELIVERED", otp="424242")
    sandbox.control.fault("empty_page", operation="listReturns", page=1, count=1)
    wanted = ReturnFilter(location_id="EXSB", status="DELIVERED", updated_since=datetime(2020, 1, 1, tzinfo=UTC))
    pages = list(at_sandbox.returns.pages(wanted, max_results=2))
    assert [len(page.returns) for page in pages] == [2, 0, 2, 1]
    found = [read_return(raw) for page in pages for raw in page.returns]
    assert [item.id for item in found] == made
    assert all(item.sku_code and item.reason and item.reverse.tracking_id for item in found)
    assert all(item.created_at and item.delivered_at and item.otp_valid_until for item in found)
    assert "424242" not in repr(found)
    assert [read_return(at_sandbox.returns.get(return_id)) for return_id in made] == found
    with pytest.raises(errors.NotFound):
        at_sandbox.returns.get("SR-none")


def test_amazons_plan_of_returns_is_followed_without_a_429(sandbox, at_sandbox):
    sandbox.control.plans({"listReturns": {"rate": 10, "burst": 20}})
    for _ in range(40):
        at_sandbox.returns.page(ReturnFilter())
    assert sandbox.control.stats()["n_429"] == 0


def test_participations_name_the_marketplace(at_sandbox):
    (participation,) = [p for p in at_sandbox.sellers.marketplace_participations() if p.is_participating]
    assert (participation.marketplace_id, participation.country_code, participation.currency) == (
        MARKETPLACE,
        "IN",
        "INR",
    )


def test_what_does_not_exist_is_not_found(at_sandbox):
    with pytest.raises(errors.NotFound) as caught:
        at_sandbox.shipments.get("D-none")
    assert caught.value.code == "SC_00003"
    assert caught.value.request_id


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("kind", ["expired_token", "error_503", "error_500", "cut", "cut_body", "html_instead_of_json"])
def test_a_passing_fault_is_not_felt_by_a_read(sandbox, at_sandbox, kind):
    at_sandbox.judge.judges_answers = False
    [shipment_id] = sandbox.control.create_orders(1)
    sandbox.control.fault(kind, operation="getShipment", count=1)
    assert at_sandbox.shipments.get(shipment_id)["id"] == shipment_id


def test_a_revoked_authorization_ends_at_once(sandbox, at_sandbox):
    [shipment_id] = sandbox.control.create_orders(1)
    at_sandbox.shipments.get(shipment_id)
    sandbox.control.revoke_tokens(SELLER)
    for _ in range(3):
        with pytest.raises(errors.AuthorizationRefused):
            at_sandbox.shipments.get(shipment_id)


def test_revoked_access_tokens_alone_are_replaced(sandbox, at_sandbox):
    [shipment_id] = sandbox.control.create_orders(1)
    at_sandbox.shipments.get(shipment_id)
    sandbox.control.revoke_tokens(SELLER, only_access_tokens=True)
    assert at_sandbox.shipments.get(shipment_id)["id"] == shipment_id


def test_a_missing_role_is_access_denied(sandbox, at_sandbox):
    sandbox.control.fault("access_denied")
    with pytest.raises(errors.AccessDenied):
        at_sandbox.shipments.page("ACCEPTED")


def test_refused_app_credentials_are_told_apart(sandbox, at_sandbox):
    sandbox.control.fault("invalid_client")
    with pytest.raises(errors.AppCredentialsRefused):
        at_sandbox.shipments.page("ACCEPTED")


def test_a_reply_lost_after_a_confirm_is_an_outcome_unknown_and_done(sandbox, at_sandbox):
    [shipment_id] = sandbox.control.create_orders(1)
    sandbox.control.fault("drop_after_effect", operation="processShipment", count=1)
    with pytest.raises(errors.AmazonUnavailable) as caught:
        at_sandbox.shipments.confirm(shipment_id)
    assert caught.value.is_outcome_unknown
    assert at_sandbox.shipments.get(shipment_id)["status"] == "CONFIRMED"


def test_a_page_token_that_never_changes_is_an_error(sandbox, at_sandbox):
    sandbox.control.create_orders(4)
    sandbox.control.fault("stuck_token")
    with pytest.raises(errors.UnreadableAnswer, match="same page token"):
        list(at_sandbox.shipments.pages("ACCEPTED", max_results=1))


def test_odd_shipments_cost_no_page(sandbox, at_sandbox):
    at_sandbox.judge.judges_answers = False
    sandbox.control.create_orders(8)
    for kind in ("odd_unknown_enum", "odd_unknown_status", "odd_unknown_field", "odd_date", "odd_broken_line"):
        sandbox.control.fault(kind, count=1)
    raws = at_sandbox.shipments.page("ACCEPTED").shipments
    readable = 0
    for raw in raws:
        try:
            readable += bool(read_shipment(raw).id)
        except errors.UnreadableShipment:
            continue
    assert len(raws) == 8
    assert readable >= 7, "all but the one without a SKU"


def test_amazons_own_plan_is_followed_without_a_429(sandbox, at_sandbox):
    [shipment_id] = sandbox.control.create_orders(1)
    sandbox.control.plans({"getShipment": {"rate": 20, "burst": 10}})
    for _ in range(12):
        at_sandbox.shipments.get(shipment_id)
    assert sandbox.control.stats()["n_429"] == 0
