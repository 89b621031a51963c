"""The help page and the four questions as pages: what each role reads and may do, and what a mistyped one says."""

import dataclasses
import re
from collections.abc import Callable

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from flexdash.blueprints.help import routes
from flexdash.blueprints.help.fixes import TARGETS
from flexdash.extensions import db, redis_client
from flexdash.models import OrderCancellation, OrderState, Role, RunState, Store, Sync
from flexdash.services import store_settings
from flexdash.services.diagnosis import order_missing
from flexdash.services.diagnosis.checks import Diagnosis, FixKind
from flexdash.services.diagnosis.common import Parts
from flexdash.services.store_settings import Toggle
from tests import factories
from tests.support.web import words

QUESTIONS = ("/help/order-missing", "/help/cancellation", "/help/sku", "/help/order-open")


@pytest.fixture
def store(app: Flask) -> Store:
    seller = factories.make_seller(factories.make_workspace())
    return factories.make_store(seller, name="Pune Store")


@pytest.fixture
def person(store: Store, signed_in):
    def sign_in(role: Role) -> FlaskClient:
        return signed_in(factories.make_user(store.seller.workspace, role))

    return sign_in


@pytest.mark.parametrize("role", Role)
def test_every_role_finds_the_questions_in_the_menu(person, role: Role) -> None:
    browser = person(role)
    assert ">Help</span>" in browser.get("/").text
    page = browser.get("/help").text
    for address in QUESTIONS:
        assert f'action="{address}"' in page
        assert browser.get(address).status_code == 200


def test_the_answers_of_the_guide_have_anchors_and_lead_to_the_questions(person) -> None:
    page = person(Role.MERCHANT).get("/help").text
    for anchor in re.findall(r'href="#([a-z-]+)"', page):
        assert f'id="{anchor}"' in page
    faq = page[page.index('id="faq"') :]
    for address in QUESTIONS:
        assert f'href="{address}"' in faq
    assert "<details" not in faq  # folded answers are not found by the browser's search
    assert len(re.findall("<h3 id=", faq)) >= 20


def test_a_diagnosis_names_the_cause_its_fix_and_every_check(person, store: Store) -> None:
    page = person(Role.MERCHANT).get("/help/order-missing?q=%20%22SBNOSUCH1%22").text
    assert "Order Sync is off for Pune Store, so no order comes in by itself." in page
    assert f'href="/stores/{store.id}/settings"' in page
    assert f'href="/stores/{store.id}/recover?ids=SBNOSUCH1"' in page
    assert page.count('class="check ') == 12
    assert "Not looked at" in page
    assert "&#34;SBNOSUCH1&#34;" in page  # what was typed is kept


def test_the_id_that_was_meant_is_one_click_away_in_the_same_store(person, store: Store) -> None:
    page = person(Role.SUPPORT).get(f"/help/order-missing?q=4OO-0000013-0102947&store={store.id}").text
    assert "Order ids have digits only: did you mean 400-0000013-0102947?" in page
    assert f'href="/help/order-missing?q=400-0000013-0102947&amp;store={store.id}"' in page


def test_a_sku_like_the_one_typed_is_one_click_away_with_what_was_asked(person, store: Store) -> None:
    factories.make_listing(store, "MUG-STD&<b>")
    page = person(Role.MERCHANT).get("/help/sku?q=MUG-ST&about=price").text
    assert "Did you mean “MUG-STD&amp;&lt;b&gt;”?" in page
    assert 'href="/help/sku?q=MUG-STD%26%3Cb%3E&amp;about=price"' in page


def test_a_number_that_no_order_has_leads_to_the_list_of_orders(person) -> None:
    page = person(Role.MERCHANT).get("/help/order-open?q=FD-999999").text
    assert "Look it up among your orders." in page
    assert '<a class="btn btn-primary" href="/orders">Open the list of orders</a>' in page


def test_the_reason_for_turning_a_sync_off_is_text_and_no_markup(person, store: Store) -> None:
    asha = factories.make_actor(factories.make_user(store.seller.workspace, name="Asha"))
    for is_on, reason in ((True, ""), (False, "Stock count <script>alert(1)</script>")):
        version = store.settings_version
        store_settings.set_toggle(asha, store.id, Toggle.ORDER_SYNC, turn_on=is_on, version=version, reason=reason)
    page = person(Role.SUPPORT).get("/help/order-missing?q=SBNOSUCH1").text
    assert "Asha turned Order Sync off for Pune Store, so no order comes in by itself." in page
    assert "The reason given: “Stock count &lt;script&gt;alert(1)&lt;/script&gt;”." in page
    assert "<script>alert" not in page


def test_support_reads_who_can_mend_what_it_may_not(person, store: Store) -> None:
    page = person(Role.SUPPORT).get("/help/order-missing?q=SBNOSUCH1").text
    assert f'href="/stores/{store.id}/settings"' in page
    assert "A merchant or an admin can do this." in page
    store.status, store.is_order_sync_on = "disconnected", True
    db.session.commit()
    page = person(Role.SUPPORT).get("/help/order-missing?q=SBNOSUCH1").text
    assert "Reconnect Pune Store:" in page
    assert f"/stores/{store.id}/reconnect" not in page
    store.status = "needs_reauthorization"
    db.session.commit()
    assert "Re-authorize Pune Store:" in person(Role.SUPPORT).get("/help/order-missing?q=SBNOSUCH1").text


def test_a_cancellation_is_sent_from_the_answer_by_those_who_work_orders(person, store: Store) -> None:
    order = factories.make_order(store, OrderState.CANCELLED, cancellation=OrderCancellation.NOT_SENT)
    address = f"/help/cancellation?q=FD-{order.id:06d}"
    button = f'action="/orders/{order.id}/cancel/send"'
    assert button in person(Role.MERCHANT).get(address).text
    page = person(Role.SUPPORT).get(address).text
    assert button not in page
    assert "Send now:" in page


@pytest.fixture
def failing(store: Store) -> Store:
    """A store that lists a SKU with stock, whose last push failed."""
    store.is_inventory_sync_on = True
    db.session.commit()
    hub = factories.make_hub(store.seller.workspace)
    factories.make_mapping(store, hub)
    factories.make_listing(store, "TEE")
    factories.make_stock(store.seller, hub, "TEE")
    factories.make_run(store, RunState.FAILED, sync=Sync.INVENTORY_PUSH)
    return store


def test_what_others_may_do_is_read_without_the_marks_of_a_button(person, store: Store) -> None:
    support = person(Role.SUPPORT)
    unsent = factories.make_order(store, OrderState.CANCELLED, cancellation=OrderCancellation.NOT_SENT)
    text = words(support.get(f"/help/cancellation?q=FD-{unsent.id:06d}"))
    assert "Send now: a merchant or an admin can do this." in text
    order = factories.make_order(store)
    text = words(support.get(f"/help/cancellation?q=FD-{order.id:06d}"))
    assert f"Cancel order FD-{order.id:06d}: a merchant or an admin can do this." in text
    assert "it is a New Order. If you cancel it here" in text


def test_sync_now_is_offered_to_support_with_the_sync_it_starts(person, failing: Store, monkeypatch) -> None:
    monkeypatch.setattr(routes, "parts_seen", Parts)
    page = person(Role.SUPPORT).get("/help/sku?q=TEE").text
    assert "The last run of Inventory Sync failed: Amazon did not answer." in page
    assert f'action="/stores/{failing.id}/sync-now"' in page
    assert '<input type="hidden" name="sync" value="inventory_push">' in page


def test_a_page_sees_by_itself_that_no_scheduler_is_at_work(person, failing: Store) -> None:
    page = person(Role.SUPPORT).get("/help/sku?q=TEE").text
    assert "The scheduler has not been seen lately, so no sync starts by itself." in page


@pytest.mark.parametrize("address", QUESTIONS)
def test_nothing_typed_is_a_problem_beside_the_field(person, address: str) -> None:
    answer = person(Role.MERCHANT).get(f"{address}?q=%20")
    assert answer.status_code == 422
    assert "There is a problem" in answer.text
    assert '<a href="#q">' in answer.text
    assert 'id="answer"' not in answer.text


def test_what_is_typed_cannot_become_markup(person) -> None:
    for address in QUESTIONS:
        page = person(Role.MERCHANT).get(f"{address}?q=<svg/onload=alert(1)>&store=<b>&about=<i>").text
        assert "<svg/onload" not in page
        assert "<i>" not in page


def test_other_pages_lead_to_the_question_that_they_raise(person, store: Store) -> None:
    browser = person(Role.SUPPORT)
    listing = factories.make_listing(store, "TEE", price=499)
    unsent = factories.make_order(store, OrderState.CANCELLED, cancellation=OrderCancellation.NOT_SENT)
    picked = factories.make_order(store, OrderState.PICKED)
    assert 'href="/help/order-missing?q=SBNOSUCH1"' in browser.get("/orders?q=SBNOSUCH1").text
    assert "/help/order-missing?q=" not in browser.get("/orders?state=Packed").text
    assert f'href="/help/cancellation?q=FD-{unsent.id:06d}"' in browser.get(f"/orders/{unsent.id}").text
    assert f'href="/help/order-open?q=FD-{picked.id:06d}"' in browser.get(f"/orders/{picked.id}").text
    page = browser.get(f"/stores/{store.id}/catalog/{listing.id}").text
    assert f'href="/help/sku?q=TEE&amp;store={store.id}"' in page
    assert f'href="/help/sku?q=TEE&amp;store={store.id}&amp;about=price"' in page


def test_a_choice_of_stores_keeps_what_was_asked(person, store: Store) -> None:
    other = factories.make_store(store.seller, name="Delhi Store")
    for one in (store, other):
        factories.make_listing(one, "TEE", price=499)
    page = person(Role.MERCHANT).get("/help/sku?q=TEE&about=price").text
    assert f'href="/help/sku?store={other.id}&amp;q=TEE&amp;about=price"' in page


def test_every_fix_leads_somewhere(app: Flask) -> None:
    assert set(TARGETS) == set(FixKind)
    endpoints = {target.endpoint for target in TARGETS.values() if target.endpoint}
    assert endpoints <= set(app.view_functions)


def test_one_person_cannot_ask_without_end_and_the_question_is_kept(person, app, store, monkeypatch) -> None:
    monkeypatch.setitem(
        app.config, "SETTINGS", dataclasses.replace(app.config["SETTINGS"], lookup_limit="3 per minute")
    )
    merchant, support = person(Role.MERCHANT), person(Role.SUPPORT)
    order = factories.make_order(store)
    for path in (*QUESTIONS[:2], f"/orders/{order.id}/evidence.zip"):
        assert merchant.get(f"{path}?q=404-1").status_code in (200, 422)
    for path in (QUESTIONS[2], QUESTIONS[3], f"/orders/{order.id}/evidence.zip"):
        refused = merchant.get(f"{path}?q=404-1")
        assert refused.status_code == 429
        assert "what you asked for stands in the address of this page" in refused.text
        assert "Wait a minute, then reload this page" in refused.text
        assert 1 <= int(refused.headers["Retry-After"]) <= 61  # the storage rounds up
    for path in QUESTIONS:
        assert merchant.get(path).status_code == 200  # the empty form costs nothing
    assert support.get(f"{QUESTIONS[0]}?q=404-1").status_code == 200


def test_the_answer_why_an_order_is_not_here_leads_to_the_evidence(workspace, person) -> None:
    factories.make_store(factories.make_seller(workspace), "disconnected")
    support = person(Role.SUPPORT)
    page = support.get("/help/order-missing?q=404-1234567-1234567").text
    assert 'href="/help/order-missing/evidence.zip?q=404-1234567-1234567"' in page
    assert support.get("/help/order-missing/evidence.zip?q=404-1234567-1234567").mimetype == "application/zip"
    assert "evidence.zip" not in support.get("/help/order-missing?q=9876543210").text
    refused = support.get("/help/order-missing/evidence.zip?q=9876543210")
    assert (refused.status_code, refused.location) == (303, "/help/order-missing?q=9876543210")
    odd = support.get("/help/order-missing/evidence.zip?q=&endpoint=x&_method=POST")
    assert (odd.status_code, odd.location) == (303, "/help/order-missing?q=")


@pytest.fixture
def meanwhile(monkeypatch):
    """Has something done while the question of a missing order is being answered."""

    def during_the_answer(do: Callable[[], object]) -> None:
        why = order_missing.why_missing

        def answer(*args: object, **values: object) -> Diagnosis:
            monkeypatch.setattr(order_missing, "why_missing", why)
            do()
            return why(*args, **values)

        monkeypatch.setattr(order_missing, "why_missing", answer)

    return during_the_answer


def test_one_person_has_one_question_answered_at_a_time(app, store, signed_in, meanwhile) -> None:
    meera, other = (factories.make_user(store.seller.workspace, Role.MERCHANT) for _ in range(2))
    browser, colleague, second_browser = signed_in(meera), signed_in(other), signed_in(meera)
    answers = []

    def ask_more() -> None:
        answers.append(second_browser.get(f"{QUESTIONS[2]}?q=TEE"))
        answers.append(second_browser.get(QUESTIONS[2]))
        answers.append(colleague.get(f"{QUESTIONS[2]}?q=TEE"))

    meanwhile(ask_more)
    assert browser.get(f"{QUESTIONS[0]}?q=SBNOSUCH1").status_code == 200
    refused, empty, of_the_other = answers
    assert (refused.status_code, empty.status_code, of_the_other.status_code) == (429, 200, 200)
    assert "Another of your questions is still being answered" in refused.text
    assert "what you asked for stands in the address of this page" in refused.text
    assert refused.headers["Retry-After"] == "30"
    assert browser.get(f"{QUESTIONS[2]}?q=%20").status_code == 422
    assert second_browser.get(f"{QUESTIONS[2]}?q=TEE").status_code == 200


def test_an_answer_that_took_too_long_does_not_end_the_next_one(app, person, meanwhile) -> None:
    def next_one_begins() -> None:
        (key,) = redis_client.keys("flexdash:answering:*")
        assert 0 < redis_client.ttl(key) <= 30
        redis_client.set(key, "the next one's")

    meanwhile(next_one_begins)
    merchant = person(Role.MERCHANT)
    assert merchant.get(f"{QUESTIONS[0]}?q=SBNOSUCH1").status_code == 200
    assert merchant.get(f"{QUESTIONS[0]}?q=SBNOSUCH1").status_code == 429


def test_questions_are_answered_while_redis_is_away(app, person, meanwhile, monkeypatch) -> None:
    merchant, answers = person(Role.MERCHANT), []
    monkeypatch.setitem(app.extensions, "flexdash_redis", redis.Redis.from_url("redis://127.0.0.1:1/0"))
    meanwhile(lambda: answers.append(merchant.get(f"{QUESTIONS[0]}?q=SBNOSUCH1").status_code))
    assert merchant.get(f"{QUESTIONS[0]}?q=SBNOSUCH1").status_code == 200
    assert answers == [200]
