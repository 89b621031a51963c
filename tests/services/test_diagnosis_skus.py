"""Why is my SKU not updated? Its stock: what keeps it here. Each state is made as people and Amazon make it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import time_machine
from flask import Flask

from amazon_sandbox.serving import Running
from flexdash.models import Role, RunState, Sync
from flexdash.services import hub_mapping, hubs, stock, stores
from flexdash.services.diagnosis import sku_stock
from flexdash.services.diagnosis.checks import Diagnosis, FixKind, Outcome
from flexdash.services.errors import FieldRefused, NotVisible
from flexdash.services.store_settings import Toggle
from flexdash.services.stores import AUTHORIZATION_LIFETIME
from tests import factories
from tests.support.diagnoses import AT_WORK, by_name, fixes, outcome, sentence
from tests.support.recoveries import lift_pace
from tests.support.skus import Shop, make_shop

TEE, UNLISTED = "TEE", "NOT-LISTED-1"  # the second is one that the sandbox has no listing for


@pytest.fixture
def shop(app: Flask, sandbox: Running, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A store with ten of a SKU that its catalog lists."""
    lift_pace(monkeypatch)
    sandbox.control.plans({"*": None})
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], run_max_attempts=1))
    shop = make_shop(sandbox)
    shop.stock(TEE=10)
    return shop


def why(shop: Shop, text: str = TEE, store_id: int | None = None) -> Diagnosis:
    """Ask about the SKU's stock."""
    return sku_stock.why_not_updated(shop.asker, text, store_id=store_id, parts=AT_WORK)


State = Callable[[Shop], str]  # puts the shop into a state, and returns what is asked about


def nobody_knows(shop: Shop) -> str:
    return "NOPE"


def in_small_letters(shop: Shop) -> str:
    return "tee"


def cut_short(shop: Shop) -> str:
    for code in ("MUG-STD", "mug-sta", "MUG-ST-2", "MUG-STX", "MUG-LARGE", "MUG_STD"):
        shop.list_it(code)
    shop.count("MUG-STA", 1)
    return "MUG-ST"


def cut_short_in_small_letters(shop: Shop) -> str:
    shop.count("MUG-STD", 1)
    return "mug-st"


def of_another_seller(shop: Shop) -> str:
    other = make_shop(shop.sandbox)
    other.list_it("MUG-STD")
    other.count("MUG-STX", 1)
    return "MUG-ST"


def without_listing(shop: Shop) -> str:
    shop.count("MUG", 1)
    return "MUG"


def no_store(shop: Shop) -> str:
    seller = factories.make_seller(factories.make_workspace())
    asha = factories.make_actor(factories.make_user(seller.workspace, Role.ADMIN))
    stores.start_draft(asha, seller.id, "IN", "Pune Store")
    place = {"city": "Pune", "country_code": "IN", "time_zone": "Asia/Kolkata"}
    hub = hubs.add(asha, code="PUNE", name="Pune Warehouse", **place)
    stock.add(asha, seller.id, hub.id, "MUG", "1")
    shop.asker = asha
    return "MUG"


def in_two_stores(shop: Shop) -> str:
    shop.list_it(TEE, factories.make_store(shop.store.seller, name="Delhi Store"))
    return TEE


def never_turned_on(shop: Shop) -> str:
    shop.list_it("MUG", factories.make_store(shop.store.seller, name="Delhi Store"))
    return "MUG"


def turned_off(shop: Shop) -> str:
    shop.turn_off(Toggle.INVENTORY_SYNC, "Stock count")
    return TEE


def disconnected(shop: Shop) -> str:
    shop.disconnect()
    return TEE


def authorization_revoked(shop: Shop) -> str:
    shop.sandbox.control.revoke_tokens()
    assert shop.push().state is RunState.FAILED
    return TEE


def unmapped(shop: Shop) -> str:
    hub_mapping.remove(shop.asha, shop.store.id, shop.hub.id, version=1)
    return TEE


def mapping_off(shop: Shop) -> str:
    hub_mapping.change(shop.asha, shop.store.id, shop.hub.id, "EXSB", is_active=False, version=1)
    return TEE


def hub_off(shop: Shop) -> str:
    hubs.deactivate(shop.asha, shop.hub.id)
    return TEE


def elsewhere(shop: Shop) -> str:
    shop.list_it("MUG")
    shop.count("MUG", 10, shop.add_hub("Delhi Warehouse"))
    return "MUG"


def never_stocked(shop: Shop) -> str:
    shop.list_it("MUG")
    return "MUG"


def braked(shop: Shop) -> str:
    others = [f"SKU-{n}" for n in range(6)]
    shop.stock(**dict.fromkeys(others, 5))
    shop.push()
    shop.stock(**dict.fromkeys(others, 0))
    shop.push()
    return TEE


def refused(shop: Shop) -> str:
    shop.stock(**{UNLISTED: 5})
    shop.push()
    return UNLISTED


def buffered(shop: Shop) -> str:
    shop.hold_back(10)
    return TEE


def failed_run(shop: Shop) -> str:
    shop.sandbox.control.fault("error_500", operation="batchInventory")
    assert shop.push().state is RunState.FAILED
    return TEE


def waits_for_a_worker(shop: Shop) -> str:
    shop.ask_for(Sync.INVENTORY_PUSH)
    return TEE


def changed_since(shop: Shop) -> str:
    shop.stock(TEE=7)
    shop.push()
    shop.stock(TEE=10)
    return TEE


def never_sent(shop: Shop) -> str:
    shop.push()
    shop.stock(MUG=4)
    return "MUG"


STOCK: list[tuple[State, str, Outcome, list[FixKind]]] = [
    (
        nobody_knows,
        "FlexDash does not know the SKU “NOPE”: no catalog, no stock and no seller has it.",
        Outcome.FAILED,
        [FixKind.UPLOAD_CATALOG],
    ),
    (
        in_small_letters,
        "No catalog has the SKU “tee”, but there is “TEE”: capital and small letters tell SKUs apart.",
        Outcome.FAILED,
        [FixKind.ASK_INSTEAD],
    ),
    (
        cut_short,
        "FlexDash does not know the SKU “MUG-ST”. Did you mean “MUG-ST-2” or “MUG-STA” or “MUG-STD”?",
        Outcome.FAILED,
        [FixKind.ASK_INSTEAD] * 3,
    ),
    (
        cut_short_in_small_letters,
        "FlexDash does not know the SKU “mug-st”. Did you mean “MUG-STD”?",
        Outcome.FAILED,
        [FixKind.ASK_INSTEAD],
    ),
    (
        of_another_seller,
        "FlexDash does not know the SKU “MUG-ST”: no catalog, no stock and no seller has it.",
        Outcome.FAILED,
        [FixKind.UPLOAD_CATALOG],
    ),
    (
        no_store,
        "No store is connected to Amazon, so nothing is sent there.",
        Outcome.FAILED,
        [FixKind.CONNECT_STORE],
    ),
    (without_listing, "The SKU has no ASIN in Pune Store", Outcome.FAILED, [FixKind.UPLOAD_CATALOG]),
    (in_two_stores, "2 stores list this SKU.", Outcome.FAILED, [FixKind.OTHER_STORE, FixKind.OTHER_STORE]),
    (
        never_turned_on,
        "Inventory Sync is off for Delhi Store, so Amazon is told no stock.",
        Outcome.FAILED,
        [FixKind.TOGGLES],
    ),
    (
        turned_off,
        "Asha turned Inventory Sync off for Pune Store, so Amazon is told no stock. Turn it on; before its first push, "
        "a preview shows what that changes. The reason given: “Stock count”.",
        Outcome.FAILED,
        [FixKind.TOGGLES, FixKind.LOG_ROW],
    ),
    (disconnected, "Pune Store is disconnected from Amazon", Outcome.FAILED, [FixKind.RECONNECT]),
    (
        authorization_revoked,
        "Pune Store needs re-authorization: Amazon refuses FlexDash's access. Amazon's reason: ",
        Outcome.FAILED,
        [FixKind.REAUTHORIZE],
    ),
    (unmapped, "No hub is mapped in Pune Store", Outcome.FAILED, [FixKind.HUB_MAPPING]),
    (
        mapping_off,
        "Every mapped hub is switched off, so Amazon is told nothing: Pune Warehouse (EXSB).",
        Outcome.FAILED,
        [FixKind.HUB_MAPPING],
    ),
    (hub_off, "Every mapped hub is switched off", Outcome.FAILED, [FixKind.HUBS]),
    (
        elsewhere,
        "Its stock lies in Delhi Warehouse (10 available), which Amazon is told nothing of",
        Outcome.FAILED,
        [FixKind.HUB_MAPPING],
    ),
    (never_stocked, "No mapped hub has ever had stock of it", Outcome.FAILED, [FixKind.STOCK]),
    (
        braked,
        "A push that would set 6 of 7 quantities to zero is held back until somebody approves it",
        Outcome.FAILED,
        [FixKind.ZEROS],
    ),
    (
        refused,
        "Amazon refused its stock at EXSB (Pune Warehouse): INVALID_SKU. Check that Seller Central has a listing",
        Outcome.FAILED,
        [FixKind.LISTING],
    ),
    (
        buffered,
        "The stock buffer holds it all back: 10 units of each SKU and hub are kept from Amazon, and Pune Warehouse (10 "
        "available) has no more than that. So Amazon shows 0.",
        Outcome.FAILED,
        [FixKind.STOCK_RULES],
    ),
    (
        failed_run,
        "The last run of Inventory Sync failed: Amazon",
        Outcome.FAILED,
        [FixKind.RUN, FixKind.SYNC_NOW],
    ),
    (
        waits_for_a_worker,
        "Inventory Sync is on its way: A run waits for a worker.",
        Outcome.ANSWERED,
        [FixKind.SYNC_NOW],
    ),
    (
        changed_since,
        "It changed since the last push and goes with the next one: 10 at Pune Warehouse, and Amazon was told 7.",
        Outcome.ANSWERED,
        [FixKind.SYNC_NOW, FixKind.LISTING],
    ),
    (
        never_sent,
        "goes with the next one: 4 at Pune Warehouse, and Amazon was told nothing yet.",
        Outcome.ANSWERED,
        [FixKind.SYNC_NOW, FixKind.LISTING],
    ),
]


@pytest.mark.parametrize(("state", "words", "ends", "offered"), STOCK)
def test_the_cause_of_stock_that_is_not_updated_is_named(shop: Shop, state, words, ends, offered) -> None:
    found = why(shop, state(shop))
    assert words in sentence(found)
    assert (outcome(found), fixes(found)) == (ends, offered)


def test_an_authorization_that_came_to_its_end_is_named(shop: Shop) -> None:
    with time_machine.travel(shop.store.authorized_at + AUTHORIZATION_LIFETIME, tick=False):
        found = why(shop)
    assert sentence(found) == "The authorization of Pune Store ended after 365 days. Amazon wants it renewed."
    assert fixes(found) == [FixKind.REAUTHORIZE]


def test_a_buffer_that_holds_back_one_hub_of_two_is_noted(shop: Shop) -> None:
    other = shop.add_hub("Delhi Warehouse")
    hub_mapping.add(shop.asha, shop.store.id, other.id, "PNQ1")
    shop.count(TEE, 25, other)
    shop.hold_back(10)
    shop.push()
    found = why(shop)
    assert sentence(found) == "It is up to date: Amazon shows what there is to sell, 0 at EXSB and 15 at PNQ1."
    [noted] = found.notes
    assert noted.finding is not None
    assert noted.finding.sentence == (
        "The stock buffer of 10 units holds back all of it at Pune Warehouse (10 available)."
    )
    assert [fix.kind for fix in noted.finding.fixes] == [FixKind.STOCK_RULES]


def test_stock_in_a_hub_that_is_not_mapped_is_noted(shop: Shop) -> None:
    shop.push()
    shop.count(TEE, 3, shop.add_hub("Delhi Warehouse"))
    found = why(shop)
    assert outcome(found) is Outcome.ANSWERED
    assert by_name(found)["Has an active mapped hub stock of it?"] is Outcome.NOTE


# Who asks, and what is asked ------------------------------------------------------------------------------------------


def test_a_chosen_store_settles_which_listing_is_meant(shop: Shop) -> None:
    in_two_stores(shop)
    shop.push()
    assert outcome(why(shop, store_id=shop.store.id)) is Outcome.ANSWERED


def test_a_chosen_store_that_was_never_connected_is_named_as_such(shop: Shop) -> None:
    draft = stores.start_draft(shop.asha, shop.store.seller_id, "AE", "Dubai Store")
    found = why(shop, store_id=draft.id)
    assert sentence(found) == "The store you chose was never connected to Amazon, so nothing is sent there."
    assert fixes(found) == [FixKind.CONNECT_STORE]


def test_another_sellers_sku_is_not_told_of(shop: Shop) -> None:
    workspace = shop.store.seller.workspace
    limited = factories.make_user(workspace, Role.MERCHANT, sellers=[factories.make_seller(workspace)])
    shop.asker = factories.make_actor(limited)
    assert sentence(why(shop)).startswith("FlexDash does not know the SKU “TEE”")
    with pytest.raises(NotVisible):
        why(shop, store_id=shop.store.id)


@pytest.mark.parametrize("text", ["", "  '' ", "x" * 101])
def test_no_sku_is_refused_at_the_field(shop: Shop, text: str) -> None:
    with pytest.raises(FieldRefused) as refusal:
        why(shop, text)
    assert refusal.value.field == "q"
