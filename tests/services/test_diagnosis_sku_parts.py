"""Why is my SKU not updated? Both answers, stock and price, while a part of FlexDash is not at work."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import redis
from flask import Flask

from amazon_sandbox.serving import Running
from flexdash.services.diagnosis import sku_price, sku_stock
from flexdash.services.diagnosis.checks import Outcome
from flexdash.services.diagnosis.common import Parts
from tests.support.diagnoses import nobody_syncs, outcome, parts_seen, sentence
from tests.support.servers import running_redis
from tests.support.skus import Shop, make_shop

TEE = "TEE"
QUESTIONS = [sku_stock.why_not_updated, sku_price.why_not_updated]


@pytest.fixture
def shop(app: Flask, sandbox: Running) -> Shop:
    """A store with a SKU whose stock and price Amazon was not told yet."""
    sandbox.control.plans({"*": None})
    shop = make_shop(sandbox)
    shop.stock(TEE=10)
    shop.price("280.50", TEE)
    return shop


def both(shop: Shop, parts: Parts) -> set[tuple[str, Outcome]]:
    """What is said of stock and price, in each the first sentence."""
    found = [ask(shop.asker, TEE, parts=parts) for ask in QUESTIONS]
    return {(sentence(one).partition(". ")[0], outcome(one)) for one in found}


def test_a_scheduler_or_worker_that_is_not_at_work_keeps_stock_and_price_here(
    shop: Shop, environment: Mapping[str, str]
) -> None:
    nothing = parts_seen()
    assert both(shop, nothing) == {
        ("The scheduler has not been seen lately, so no sync starts by itself", Outcome.FAILED)
    }
    with nobody_syncs(environment) as parts:
        assert both(shop, parts) == {("No worker has been seen lately for sync, so runs wait", Outcome.FAILED)}


def test_redis_that_ended_keeps_stock_and_price_here(shop: Shop, app: Flask, tmp_path: Path, monkeypatch) -> None:
    with running_redis(tmp_path) as url:
        monkeypatch.setitem(app.extensions, "flexdash_redis", redis.Redis.from_url(url, socket_timeout=5))
        assert not parts_seen().is_redis_away
    away = "Redis is away, so no work reaches a worker and every sync waits"
    assert both(shop, parts_seen()) == {(away, Outcome.FAILED)}


def test_what_amazon_has_already_waits_for_no_part(shop: Shop) -> None:
    shop.push()
    found = sku_stock.why_not_updated(shop.asker, TEE, parts=parts_seen())
    assert sentence(found) == "It is up to date: Amazon shows what there is to sell, 10 at EXSB."
