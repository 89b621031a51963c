"""Why is my SKU not updated? Its stock once it was sent: what Amazon said of it, or did not, and what it shows now."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from amazon_sandbox.serving import Running
from flexdash.extensions import db
from flexdash.jobs import queues
from flexdash.models import RunState, StockLevel, Sync
from flexdash.services import hub_mapping, hubs, listing_queries, run_retries, stock_queries, store_needs
from flexdash.services.diagnosis import asking, sku_stock
from flexdash.services.diagnosis.checks import Diagnosis, FixKind, Outcome
from flexdash.services.inventory import drift
from tests.factories import make_mapping
from tests.support.diagnoses import AT_WORK, fixes, outcome, sentence
from tests.support.pulls import take_up, wait_for_end
from tests.support.recoveries import lift_pace
from tests.support.servers import kill_session, wait_for
from tests.support.skus import Shop, make_shop

TEE, UNWEIGHED = "TEE", "NO-WEIGHT-1"  # the second is one that the sandbox misses the weight of
BATCH = "batchInventory"
WITH_OTHERS = {TEE: 10, "MUG": 4}
LOST_AFTER = timedelta(seconds=45)


@pytest.fixture
def shop(app: Flask, sandbox: Running, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A store with ten of a SKU that its catalog lists."""
    lift_pace(monkeypatch)
    sandbox.control.plans({"*": None})
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], run_max_attempts=1))
    shop = make_shop(sandbox)
    shop.stock(TEE=10)
    return shop


def why(shop: Shop, text: str = TEE) -> Diagnosis:
    """Ask about the SKU's stock."""
    return sku_stock.why_not_updated(shop.asker, text, parts=AT_WORK)


# What Amazon shows now ------------------------------------------------------------------------------------------------


def test_stock_that_amazon_shows_is_up_to_date_with_the_time_it_was_sent(shop: Shop) -> None:
    shop.push()
    found = why(shop, f" '{TEE}' ")
    assert sentence(found) == "It is up to date: Amazon shows what there is to sell, 10 at EXSB."
    finding = found.cause.finding
    assert finding is not None
    assert [label for label, _ in finding.moments] == ["Sent"]


def test_stock_that_somebody_changed_on_amazon_is_pushed_again(shop: Shop) -> None:
    shop.push()
    shop.sandbox.control.set_stock(TEE, 4)
    found = why(shop)
    assert sentence(found).startswith("Amazon took 10 at EXSB, and shows 4 at EXSB now")
    assert fixes(found) == [FixKind.INVENTORY]


def test_every_hub_is_asked_about_and_one_that_could_not_be_is_named(shop: Shop, monkeypatch) -> None:
    second = shop.add_hub("Delhi Warehouse")
    make_mapping(shop.store, second, "PNQ1")
    shop.count(TEE, 5, second)
    shop.push()
    monkeypatch.setattr(asking, "MAX_BATCH", 1)  # stands for ten, with eleven hubs
    assert sentence(why(shop)).endswith("Amazon shows what there is to sell, 10 at EXSB and 5 at PNQ1.")
    shop.sandbox.control.set_stock(TEE, 1, "PNQ1")
    assert "and shows 1 at PNQ1 now" in sentence(why(shop))
    monkeypatch.setattr(asking, "PATIENCE_SECONDS", 0)
    found = why(shop)
    assert sentence(found).endswith("Amazon gave no number just now for PNQ1. Look again in a few minutes.")
    assert outcome(found) is Outcome.UNKNOWN


def test_stock_that_amazon_sells_where_no_active_hub_is_is_not_said_to_be_up_to_date(shop: Shop) -> None:
    gone = shop.add_hub("Delhi Warehouse")
    mapping = make_mapping(shop.store, gone, "PNQ1")
    shop.count(TEE, 5, gone)
    shop.push()
    hub_mapping.remove(shop.asha, shop.store.id, gone.id, version=mapping.version)
    found = why(shop)
    assert sentence(found).startswith(
        "Amazon shows what there is to sell, 10 at EXSB. Amazon goes on selling 5 at PNQ1, which no active hub has"
    )
    assert (outcome(found), fixes(found)) == (Outcome.FAILED, [FixKind.HUB_MAPPING])


def test_stock_whose_listing_was_taken_away_on_amazon_is_not_said_to_be_up_to_date(shop: Shop) -> None:
    shop.push()
    shop.sandbox.control.remove_listing(TEE)
    found = why(shop)
    assert sentence(found).startswith(
        "Amazon took 10 at EXSB, and refuses to tell of it now: INVALID_SKU. Check that Seller Central has a listing"
    )
    assert (outcome(found), fixes(found)) == (Outcome.FAILED, [FixKind.LISTING])


def test_what_was_refused_at_an_id_that_was_corrected_is_dropped_everywhere(shop: Shop) -> None:
    mapping = hub_mapping.get(shop.asha, shop.store.id, shop.hub.id)
    own = shop.asha, shop.store.id, shop.hub.id
    second = shop.add_hub("Delhi Warehouse")
    make_mapping(shop.store, second, "PNQ1")
    shop.count(TEE, 5, second)
    mapping = hub_mapping.change(*own, "exsb", is_active=True, version=mapping.version)
    shop.push()
    assert sentence(why(shop)).startswith("Amazon refused its stock at exsb (Pune Warehouse): INVALID_LOCATION")
    hub_mapping.change(*own, "EXSB", is_active=True, version=mapping.version)
    assert sentence(why(shop)) == (
        "No push has sent it yet. It goes with the next one: 10 at Pune Warehouse, and Amazon was told nothing yet."
    )
    store, listing = shop.fresh(), shop.listing(TEE)
    assert listing is not None
    assert drift.n_refused(store) == store_needs.look_at([store.id])[store.id].counts.n_refused_stock == 0
    assert listing_queries.pushed(store, [listing])[TEE].refusals == ()
    of_hubs = [(row.seller_flex_hub_id, row.published is None) for row in listing_queries.stock(store, listing)]
    assert of_hubs == [("PNQ1", False), ("EXSB", True)]
    levels = db.session.scalars(select(StockLevel).where(StockLevel.hub_id == shop.hub.id)).all()
    (known,) = stock_queries.known(levels).values()
    assert [(told.seller_flex_hub_id, told.published) for told in known.told] == [("EXSB", None)]


@pytest.mark.parametrize("way", ["removed", "deactivated"])
def test_what_was_refused_at_a_hub_that_is_sent_no_more_is_dropped(shop: Shop, way: str) -> None:
    mapping = hub_mapping.get(shop.asha, shop.store.id, shop.hub.id)
    mapping = hub_mapping.change(shop.asha, shop.store.id, shop.hub.id, "exsb", is_active=True, version=mapping.version)
    shop.push()
    assert drift.n_refused(shop.fresh()) == 1
    if way == "removed":
        hub_mapping.remove(shop.asha, shop.store.id, shop.hub.id, version=mapping.version)
    else:
        hubs.deactivate(shop.asha, shop.hub.id)
    assert drift.n_refused(shop.fresh()) == 0


def test_an_answer_of_amazons_that_leaves_the_sku_out_says_nothing_of_it(shop: Shop) -> None:
    shop.push()
    shop.sandbox.control.fault("inventory_left_out", sku_code=TEE)
    found = why(shop)
    assert sentence(found) == (
        "Amazon was told exactly this: 10 at EXSB. Whether it shows it is not known: Amazon gave no number just now "
        "for EXSB. Look again in a few minutes."
    )
    assert (outcome(found), fixes(found)) == (Outcome.UNKNOWN, [FixKind.LISTING])


def test_amazon_away_leaves_what_it_was_told(shop: Shop) -> None:
    shop.push()
    shop.sandbox.control.fault("error_503", operation=BATCH)
    found = why(shop)
    assert outcome(found) is Outcome.UNKNOWN
    assert sentence(found) == (
        "Amazon was told exactly this: 10 at EXSB. Whether it shows it is not known: Amazon does not answer at the "
        "moment. Look again in a few minutes."
    )


def test_what_amazon_took_and_wants_mended_is_noted_in_its_words(shop: Shop) -> None:
    shop.stock(**{UNWEIGHED: 3})
    shop.push()
    found = why(shop, UNWEIGHED)
    assert sentence(found) == "It is up to date: Amazon shows what there is to sell, 3 at EXSB."
    [noted] = found.notes
    assert noted.finding is not None
    assert noted.finding.sentence == (
        "Amazon took it and asks to mend: PRODUCT_ATTRIBUTE_VALIDATION_FAILURE/MISSING_WEIGHT. Add the weight and the "
        "package's dimensions to the product in Seller Central."
    )


# What was sent, and never answered ------------------------------------------------------------------------------------


def cut_off(shop: Shop) -> None:
    # Ten others are a call of their own, for the lowest go first.
    shop.stock(**{f"SKU-{n}": 4 for n in range(10)})
    shop.sandbox.control.fault("drop_after_effect", operation=BATCH, sku_code=TEE)


def left_out(shop: Shop) -> None:
    shop.stock(**WITH_OTHERS)
    shop.sandbox.control.fault("inventory_left_out", sku_code=TEE)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (
            cut_off,
            "Amazon did not answer (Amazon could not be reached: the connection broke (RemoteProtocolError)), so "
            "whether it took the quantity is not known.",
        ),
        (left_out, "Amazon's answer said nothing about this SKU, so whether it took it is not known."),
    ],
)
def test_stock_that_amazon_never_answered_about_is_not_said_to_be_taken(
    shop: Shop, state: Callable[[Shop], None], said: str
) -> None:
    state(shop)
    assert shop.push().state is RunState.PARTIAL
    found = why(shop)
    assert sentence(found) == f"{said} It goes again with the next push: 10 at Pune Warehouse."
    assert (outcome(found), fixes(found)) == (Outcome.FAILED, [FixKind.SYNC_NOW, FixKind.LISTING])
    assert found.notes == ()
    checked = [check.finding.sentence for check in found.checks if check.finding]
    assert "The last push went through, though Amazon did not take everything." in checked

    shop.stock(TEE=12)
    assert sentence(why(shop)).endswith(
        "goes with the next one: 12 at Pune Warehouse, and whether Amazon took the 10 sent last is not known."
    )


# Workers at it, and one that is killed --------------------------------------------------------------------------------


@pytest.fixture
def at_amazon(shop: Shop, flexdash: Callable[..., object]) -> Callable[[int], Callable[[], None]]:
    """Lets a worker take up a run, and Amazon keep it waiting; gives what kills that worker."""

    def begin(run_id: int) -> Callable[[], None]:
        shop.sandbox.control.clear_stats()
        shop.sandbox.control.fault("held", operation=BATCH)
        worker = flexdash("worker", "--queues", "sync")
        queues.enqueue_run(run_id)
        wait_for(lambda: shop.sandbox.control.stats()["calls"].get(BATCH) == 1, "the worker to ask Amazon")
        return lambda: (kill_session(worker.pid), worker.wait())

    return begin


def test_a_push_that_is_at_work_is_awaited(shop: Shop, at_amazon) -> None:
    run_id = shop.ask_for(Sync.INVENTORY_PUSH)
    at_amazon(run_id)
    found = why(shop)
    assert sentence(found).startswith("A run of Inventory Sync is at work now. Sending everything")
    assert (outcome(found), fixes(found)) == (Outcome.ANSWERED, [FixKind.RUN])
    shop.sandbox.control.clear_faults()
    assert wait_for_end(run_id).state is RunState.SUCCEEDED
    assert sentence(why(shop)) == "It is up to date: Amazon shows what there is to sell, 10 at EXSB."


def test_stock_that_a_killed_worker_was_sending_is_not_said_to_have_changed(shop: Shop, at_amazon) -> None:
    left_out(shop)
    run = shop.push()
    shop.sandbox.control.clear_faults()
    again = run_retries.request_retry(shop.asha, run.id).id
    kill = at_amazon(again)
    assert sentence(why(shop)) == "It is being sent right now. Look again in a minute."

    kill()
    take_up(again, LOST_AFTER)
    found = why(shop)
    assert sentence(found) == (
        "A push was broken off while this was being sent, so whether Amazon took it is not known. It goes again with "
        "the next push: 10 at Pune Warehouse."
    )
    assert outcome(found) is Outcome.FAILED
    shop.stock(TEE=12)
    assert sentence(why(shop)).endswith(
        "goes with the next one: 12 at Pune Warehouse, and whether Amazon took the 10 sent last is not known."
    )
