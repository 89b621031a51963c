"""Why is my SKU not updated? Its stock: one state for each cause, and the sentence that a person reads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest
from flask import Flask

from amazon_sandbox.serving import Running
from flexdash.amazon.errors import AmazonUnavailable
from flexdash.amazon.inventory import Inventory, InventoryResult, InventoryUpdate
from flexdash.extensions import db
from flexdash.models import Hub, HubMapping, PublishedStock, PushState, Role, RunState, StockLevel, Store, Sync
from flexdash.services.actors import Actor
from flexdash.services.diagnosis import sku_stock
from flexdash.services.diagnosis.checks import Diagnosis, FixKind, Outcome
from flexdash.services.diagnosis.common import Parts
from flexdash.services.errors import FieldRefused, NotVisible
from tests import factories
from tests.support.diagnoses import AT_WORK, by_name, fixes, outcome, sentence
from tests.support.recoveries import lift_pace
from tests.support.stock import do_push, make_stocked_store, stock_up

TEE = "TEE"
# What the sandbox has no listing for, what it misses the weight of, and what no call to Amazon may hold.
UNLISTED, UNWEIGHED, INVISIBLE = "NOT-LISTED-1", "NO-WEIGHT-1", "C\u00a0D"


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    lift_pace(monkeypatch)


@dataclass
class Scene:
    """A store with Inventory Sync on, its hub with ten of a SKU that the catalog lists, and support, who asks."""

    sandbox: Running
    store: Store
    hub: Hub
    asker: Actor

    def why(self, text: str = TEE, *, store: Store | None = None, parts: Parts = AT_WORK) -> Diagnosis:
        """Ask about the SKU's stock."""
        return sku_stock.why_not_updated(self.asker, text, store_id=store.id if store else None, parts=parts)

    def change(self, model: type, **values) -> None:
        """Change the one row of `model`."""
        row = db.session.scalars(db.select(model).order_by(model.id)).first()
        for name, value in values.items():
            setattr(row, name, value)
        db.session.commit()

    def stock(self, **quantities: int) -> None:
        """Set what lies in the hub of these SKUs, which the catalog lists then."""
        stock_up(self.store, self.hub, quantities)


@pytest.fixture
def scene(app: Flask, sandbox: Running, monkeypatch: pytest.MonkeyPatch) -> Scene:
    sandbox.control.plans({"*": None})
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], run_max_attempts=1))
    store, hub = make_stocked_store(sandbox)
    stock_up(store, hub, {TEE: 10})
    asker = factories.make_actor(factories.make_user(store.seller.workspace, Role.SUPPORT))
    return Scene(sandbox, store, hub, asker)


# Stock ----------------------------------------------------------------------------------------------------------------


def nobody_knows(scene: Scene) -> str:
    return "NOPE"


def in_small_letters(scene: Scene) -> str:
    return "tee"


def cut_short(scene: Scene) -> str:
    for code in ("MUG-STD", "mug-sta", "MUG-ST-2", "MUG-STX", "MUG-LARGE", "MUG_STD"):
        factories.make_listing(scene.store, code)
    factories.make_sku(scene.store.seller, "MUG-STA")
    return "MUG-ST"


def cut_short_in_small_letters(scene: Scene) -> str:
    factories.make_sku(scene.store.seller, "MUG-STD")
    return "mug-st"


def of_another_seller(scene: Scene) -> str:
    other = factories.make_seller(factories.make_workspace())
    factories.make_listing(factories.make_store(other), "MUG-STD")
    factories.make_sku(other, "MUG-STX")
    return "MUG-ST"


def without_listing(scene: Scene) -> str:
    factories.make_sku(scene.store.seller, "MUG")
    return "MUG"


def no_store(scene: Scene) -> str:
    seller = factories.make_seller(factories.make_workspace())
    factories.make_store(seller, "draft")
    factories.make_sku(seller, "MUG")
    scene.asker = factories.make_actor(factories.make_user(seller.workspace, Role.MERCHANT))
    return "MUG"


def in_two_stores(scene: Scene) -> str:
    factories.make_listing(factories.make_store(scene.store.seller, name="Delhi Store"), TEE)
    return TEE


def off(scene: Scene) -> str:
    scene.change(Store, is_inventory_sync_on=False)
    return TEE


def disconnected(scene: Scene) -> str:
    scene.change(Store, status="disconnected", refresh_token_encrypted=None)
    return TEE


def unmapped(scene: Scene) -> str:
    db.session.delete(db.session.scalars(db.select(HubMapping)).one())
    db.session.commit()
    return TEE


def mapping_off(scene: Scene) -> str:
    scene.change(HubMapping, is_active=False)
    return TEE


def hub_off(scene: Scene) -> str:
    scene.change(Hub, is_active=False)
    return TEE


def elsewhere(scene: Scene) -> str:
    other = factories.make_hub(scene.store.seller.workspace, name="Delhi Warehouse")
    scene.change(StockLevel, hub_id=other.id)
    return TEE


def never_stocked(scene: Scene) -> str:
    factories.make_listing(scene.store, "MUG")
    return "MUG"


def braked(scene: Scene) -> str:
    others = {f"SKU-{n}": 5 for n in range(6)}
    scene.stock(**others)
    do_push(scene.store)
    scene.stock(**dict.fromkeys(others, 0))
    do_push(scene.store)
    return TEE


def refused(scene: Scene) -> str:
    scene.stock(**{UNLISTED: 5})
    do_push(scene.store)
    return UNLISTED


def not_as_amazon_takes_it(scene: Scene) -> str:
    scene.stock(**{INVISIBLE: 5})
    do_push(scene.store)
    return INVISIBLE


def buffered(scene: Scene) -> str:
    scene.change(Store, stock_buffer=10)
    return TEE


def failed_run(scene: Scene) -> str:
    scene.sandbox.control.fault("error_500", operation="batchInventory")
    assert do_push(scene.store).state is RunState.FAILED
    return TEE


def changed_since(scene: Scene) -> str:
    scene.stock(TEE=7)
    do_push(scene.store)
    scene.stock(TEE=10)
    return TEE


def never_sent(scene: Scene) -> str:
    do_push(scene.store)
    scene.stock(MUG=4)
    return "MUG"


def running(scene: Scene) -> str:
    factories.make_run(scene.store, RunState.RUNNING, sync=Sync.INVENTORY_PUSH)
    return TEE


STOCK: list[tuple[Callable[[Scene], str], str, Outcome, list[FixKind]]] = [
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
    (off, "Inventory Sync is off for Pune Store, so Amazon is told no stock.", Outcome.FAILED, [FixKind.TOGGLES]),
    (disconnected, "Pune Store is disconnected from Amazon", Outcome.FAILED, [FixKind.RECONNECT]),
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
        not_as_amazon_takes_it,
        "Nothing was sent to Amazon of its stock at EXSB (Pune Warehouse): sku_code must not hold line breaks or other "
        "invisible characters. Correct the SKU in the catalog: Amazon takes none like it.",
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
    (running, "A run of Inventory Sync is at work now.", Outcome.ANSWERED, [FixKind.RUN]),
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
def test_the_cause_of_stock_that_is_not_updated_is_named(scene: Scene, state, words, ends, offered) -> None:
    found = scene.why(state(scene))
    assert words in sentence(found)
    assert (outcome(found), fixes(found)) == (ends, offered)


def test_stock_that_amazon_shows_is_up_to_date_with_the_time_it_was_sent(scene: Scene) -> None:
    do_push(scene.store)
    found = scene.why(f" '{TEE}' ")
    assert sentence(found) == "It is up to date: Amazon shows what there is to sell, 10 at EXSB."
    finding = found.cause.finding
    assert finding is not None
    assert [label for label, _ in finding.moments] == ["Sent"]


def test_stock_that_somebody_changed_on_amazon_is_pushed_again(scene: Scene) -> None:
    do_push(scene.store)
    scene.change(StockLevel, on_hand=4)
    scene.change(PublishedStock, quantity=4)
    found = scene.why()
    assert sentence(found).startswith("Amazon took 4 at EXSB, and shows 10 at EXSB now")
    assert fixes(found) == [FixKind.INVENTORY]


def test_amazon_away_leaves_what_it_was_told(scene: Scene) -> None:
    do_push(scene.store)
    scene.sandbox.control.fault("error_503", operation="batchInventory")
    found = scene.why()
    assert outcome(found) is Outcome.UNKNOWN
    assert sentence(found) == (
        "Amazon was told exactly this: 10 at EXSB. Whether it shows it is not known: Amazon does not answer at the "
        "moment. Look again in a few minutes."
    )


def test_a_part_that_is_away_keeps_a_changed_quantity_here(scene: Scene) -> None:
    changed_since(scene)
    found = scene.why(parts=Parts(is_scheduler_seen=False))
    assert sentence(found).startswith("The scheduler has not been seen lately")


def test_what_amazon_took_and_wants_mended_is_noted_in_its_words(scene: Scene) -> None:
    scene.stock(**{UNWEIGHED: 3})
    do_push(scene.store)
    found = scene.why(UNWEIGHED)
    assert sentence(found) == "It is up to date: Amazon shows what there is to sell, 3 at EXSB."
    [noted] = found.notes
    assert noted.finding is not None
    assert noted.finding.sentence == (
        "Amazon took it and asks to mend: PRODUCT_ATTRIBUTE_VALIDATION_FAILURE/MISSING_WEIGHT. Add the weight and the "
        "package's dimensions to the product in Seller Central."
    )


@pytest.fixture
def deaf_for_tee(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer ever comes to a call that has the SKU in it."""
    real = Inventory.update

    def update(self: Inventory, items: Sequence[InventoryUpdate]) -> list[InventoryResult]:
        if any(item.sku_code == TEE for item in items):
            raise AmazonUnavailable("no answer in time", is_outcome_unknown=True)
        return real(self, items)

    monkeypatch.setattr(Inventory, "update", update)


def test_stock_that_amazon_never_answered_about_is_not_said_to_be_taken(scene: Scene, deaf_for_tee: None) -> None:
    scene.stock(**{f"SKU-{n}": 4 for n in range(10)})  # a call of their own, for the lowest go first
    assert do_push(scene.store).state is RunState.PARTIAL
    found = scene.why()
    assert sentence(found) == (
        "Amazon did not answer (no answer in time), so whether it took the quantity is not known. It goes again with "
        "the next push: 10 at Pune Warehouse."
    )
    assert (outcome(found), fixes(found)) == (Outcome.FAILED, [FixKind.SYNC_NOW, FixKind.LISTING])
    assert found.notes == ()
    said = [check.finding.sentence for check in found.checks if check.finding]
    assert "The last push went through, though Amazon did not take everything." in said
    assert sentence(scene.why(parts=Parts(unserved_queues=("sync",)))).startswith("No worker has been seen lately")

    scene.stock(TEE=12)
    assert sentence(scene.why()).endswith(
        "goes with the next one: 12 at Pune Warehouse, and whether Amazon took the 10 sent last is not known."
    )


def test_stock_that_a_killed_worker_was_sending_is_not_said_to_have_changed(scene: Scene) -> None:
    run = do_push(scene.store)
    scene.change(PublishedStock, state=PushState.SENDING, quantity=None)
    found = scene.why()
    assert sentence(found) == (
        "A push was broken off while this was being sent, so whether Amazon took it is not known. It goes again with "
        "the next push: 10 at Pune Warehouse."
    )
    assert outcome(found) is Outcome.FAILED
    scene.stock(TEE=12)
    assert sentence(scene.why()).endswith(
        "12 at Pune Warehouse, and whether Amazon took the 10 sent last is not known."
    )
    factories.make_run(scene.store, RunState.RUNNING, sync=Sync.INVENTORY_PUSH, trigger="manual", retry_of_id=run.id)
    assert sentence(scene.why()) == "It is being sent right now. Look again in a minute."


def test_a_buffer_that_holds_back_one_hub_of_two_is_noted(scene: Scene) -> None:
    other = factories.make_hub(scene.store.seller.workspace, name="Delhi Warehouse")
    factories.make_mapping(scene.store, other, "PNQ1")
    factories.make_stock(scene.store.seller, other, TEE, on_hand=25)
    scene.change(Store, stock_buffer=10)
    do_push(scene.store)
    found = scene.why()
    assert sentence(found) == "It is up to date: Amazon shows what there is to sell, 0 at EXSB and 15 at PNQ1."
    [noted] = found.notes
    assert noted.finding is not None
    assert noted.finding.sentence == (
        "The stock buffer of 10 units holds back all of it at Pune Warehouse (10 available)."
    )
    assert [fix.kind for fix in noted.finding.fixes] == [FixKind.STOCK_RULES]


def test_stock_in_a_hub_that_is_not_mapped_is_noted(scene: Scene) -> None:
    do_push(scene.store)
    other = factories.make_hub(scene.store.seller.workspace, name="Delhi Warehouse")
    factories.make_stock(scene.store.seller, other, TEE, on_hand=3)
    found = scene.why()
    assert outcome(found) is Outcome.ANSWERED
    assert by_name(found)["Has an active mapped hub stock of it?"] is Outcome.NOTE


# Who asks, and what is asked ------------------------------------------------------------------------------------------


def test_a_chosen_store_settles_which_listing_is_meant(scene: Scene) -> None:
    in_two_stores(scene)
    do_push(scene.store)
    assert outcome(scene.why(store=scene.store)) is Outcome.ANSWERED


def test_a_chosen_store_that_was_never_connected_is_named_as_such(scene: Scene) -> None:
    draft = factories.make_store(scene.store.seller, "draft")
    found = scene.why(store=draft)
    assert sentence(found) == "The store you chose was never connected to Amazon, so nothing is sent there."
    assert fixes(found) == [FixKind.CONNECT_STORE]


def test_another_sellers_sku_is_not_told_of(scene: Scene) -> None:
    workspace = scene.store.seller.workspace
    limited = factories.make_user(workspace, Role.MERCHANT, sellers=[factories.make_seller(workspace)])
    scene.asker = factories.make_actor(limited)
    assert sentence(scene.why()).startswith("FlexDash does not know the SKU “TEE”")
    with pytest.raises(NotVisible):
        scene.why(store=scene.store)


@pytest.mark.parametrize("text", ["", "  '' ", "x" * 101])
def test_no_sku_is_refused_at_the_field(scene: Scene, text: str) -> None:
    with pytest.raises(FieldRefused) as refusal:
        scene.why(text)
    assert refusal.value.field == "q"
