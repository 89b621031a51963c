"""The Hub Mapping tab, as a browser without JavaScript meets it."""

import html
import re

import pytest
from cryptography.fernet import Fernet

from flexdash.blueprints.stores import mapping
from flexdash.extensions import db
from flexdash.models import (
    ConfigEvent,
    HoldReason,
    HubMapping,
    Order,
    OrderHold,
    OrderState,
    Role,
    StoreStatus,
    VerifyResult,
)
from flexdash.services import hub_mapping, hub_verification
from flexdash.services.amazon_access import StoreNotConnected
from flexdash.services.errors import ChangedMeanwhile
from tests.factories import (
    make_actor,
    make_hub,
    make_mapping,
    make_order,
    make_seller,
    make_store,
    make_user,
    make_workable,
    make_workspace,
)
from tests.support.inventory_pages import tell
from tests.support.web import words

XSS = '"><svg onload=alert(1)>'


@pytest.fixture
def asha(app):
    return make_user(make_workspace(), name="Asha")


@pytest.fixture
def store(asha):
    return make_store(make_seller(asha.workspace), name="Pune Store")


@pytest.fixture
def pune(asha):
    return make_hub(asha.workspace, "PNQ", "Pune Hub", city="Pune")


@pytest.fixture
def delhi(asha):
    return make_hub(asha.workspace, "DEL", "Delhi Hub")


@pytest.fixture
def merchant(asha, signed_in):
    """A browser in which the merchant Asha is signed in."""
    return signed_in(asha)


def fields(answer, hub_id: int) -> dict[str, str]:
    """Return the fields of the hub's form, as a browser would send them."""
    form = re.search(rf'<form(?:(?!</form>).)*name="hub" value="{hub_id}".*?</form>', answer.text, re.DOTALL).group()
    found = {}
    for tag in re.findall(r"<input[^>]+>", form):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        is_left_out = attributes["name"] == "csrf_token" or (attributes["type"] == "checkbox" and " checked" not in tag)
        if not is_left_out:
            found[attributes["name"]] = html.unescape(attributes.get("value", ""))
    return found


def path(store, rest: str = "") -> str:
    return f"/stores/{store.id}/hubs{rest}"


def save(browser, store, hub, location: str, **changes: str):
    data = fields(browser.get(path(store)), hub.id) | {f"hub{hub.id}-seller_flex_hub_id": location}
    return browser.post(path(store), data=data | {f"hub{hub.id}-{name}": value for name, value in changes.items()})


def mappings() -> list[tuple[int, str, bool]]:
    rows = db.session.scalars(db.select(HubMapping).order_by(HubMapping.id))
    return [(row.hub_id, row.seller_flex_hub_id, row.is_active) for row in rows]


def sentences() -> list[str]:
    return list(db.session.scalars(db.select(ConfigEvent.sentence).order_by(ConfigEvent.sequence)))


# Saving ---------------------------------------------------------------------------------------------------------------


def test_a_hub_is_mapped_changed_and_switched_off_from_the_page(merchant, store, pune) -> None:
    answer = save(merchant, store, pune, " EXSB ", reason="Opening day")
    assert (answer.status_code, answer.location) == (303, path(store))
    page = words(merchant.get(path(store)))
    assert "Orders for EXSB go to Pune Hub." in page
    assert "no order comes in while Order Sync is off. Turn on Order Sync" in page
    assert save(merchant, store, pune, "EXSC").status_code == 303
    data = fields(merchant.get(path(store)), pune.id)
    del data[f"hub{pune.id}-is_active"]
    assert merchant.post(path(store), data=data).status_code == 303
    page = words(merchant.get(path(store)))
    assert "Pune Hub keeps EXSC, switched off: orders for it go On Hold until it is active." in page
    assert "Switched off" in page
    assert mappings() == [(pune.id, "EXSC", False)]
    assert len(sentences()) == 3


def test_saving_a_mapping_releases_the_orders_that_waited_for_it(merchant, store, pune) -> None:
    orders = [make_order(store, OrderState.ON_HOLD, seller_flex_hub_id="EXSB") for _ in range(3)]
    other = make_order(store, OrderState.ON_HOLD, seller_flex_hub_id="ELSE")
    make_workable(pune, *orders, other)
    save(merchant, store, pune, "EXSB")
    assert "3 orders On Hold became New Orders" in words(merchant.get(path(store)))
    assert {db.session.get(Order, order.id).state for order in orders} == {OrderState.NEW}
    assert db.session.get(Order, other.id).state is OrderState.ON_HOLD


def test_another_length_than_four_is_saved_with_a_warning(merchant, store, pune) -> None:
    save(merchant, store, pune, "WAREHOUSE-1")
    page = words(merchant.get(path(store)))
    assert "WAREHOUSE-1 has 11 characters; Seller Flex Hub IDs usually have 4." in page
    assert mappings() == [(pune.id, "WAREHOUSE-1", True)]


@pytest.mark.parametrize(
    ("typed", "refusal"),
    [
        ("", "Type the Seller Flex Hub ID of this hub."),
        ("EX SB", "1 to 36 letters"),
        ("E" * 37, "This one has 37 characters."),
        (XSS, "1 to 36 letters"),
        ("delx", "DELX is the Seller Flex Hub ID of Delhi Hub in this store."),
    ],
)
def test_a_wrong_id_is_an_error_beside_its_field_and_is_kept(merchant, store, pune, delhi, typed, refusal) -> None:
    make_mapping(store, delhi, "DELX")
    answer = save(merchant, store, pune, typed, reason="my words")
    assert answer.status_code == 422
    assert words(answer).count(refusal) == 2  # in the summary and beside the field
    assert f'href="#hub{pune.id}-seller_flex_hub_id"' in answer.text
    assert XSS not in answer.text
    kept = fields(answer, pune.id)
    assert kept[f"hub{pune.id}-seller_flex_hub_id"] == typed
    assert kept[f"hub{pune.id}-reason"] == "my words"
    assert mappings() == [(delhi.id, "DELX", True)]


def test_activating_the_mapping_of_an_inactive_hub_is_a_field_error(merchant, asha, store) -> None:
    closed = make_hub(asha.workspace, name="Closed Hub", is_active=False)
    make_mapping(store, closed, "SHUT", is_active=False)
    answer = save(merchant, store, closed, "SHUT", is_active="y")
    assert answer.status_code == 422
    assert "Closed Hub is inactive" in words(answer)


def test_a_change_by_somebody_else_meanwhile_is_shown_and_what_was_typed_is_kept(merchant, asha, store, pune) -> None:
    make_mapping(store, pune, "EXSB")
    data = fields(merchant.get(path(store)), pune.id) | {f"hub{pune.id}-seller_flex_hub_id": "MINE"}
    ravi = make_actor(make_user(asha.workspace, name="Ravi"))
    hub_mapping.change(ravi, store.id, pune.id, "HIS1", is_active=True, version=1)
    answer = merchant.post(path(store), data=data)
    assert answer.status_code == 409
    assert "Changed by Ravi meanwhile" in words(answer)
    assert "from EXSB to HIS1" in words(answer)
    kept = fields(answer, pune.id)
    assert kept[f"hub{pune.id}-seller_flex_hub_id"] == "MINE"
    assert mappings() == [(pune.id, "HIS1", True)]
    assert merchant.post(path(store), data=kept).status_code == 303
    assert mappings() == [(pune.id, "MINE", True)]


@pytest.mark.parametrize("odd", [{}, {"hub": "x"}, {"hub": "-1"}, {"hub": ""}])
def test_a_form_that_names_no_hub_is_refused(merchant, store, odd) -> None:
    assert merchant.post(path(store), data=odd).status_code == 400


def test_a_hub_that_is_not_here_is_not_found(merchant, store) -> None:
    foreign = make_hub(make_workspace())
    for hub_id in (foreign.id, 999_999_999):
        data = {"hub": str(hub_id), f"hub{hub_id}-seller_flex_hub_id": "EXSB"}
        assert merchant.post(path(store), data=data).status_code == 404


# Ids that no hub has --------------------------------------------------------------------------------------------------


def test_ids_that_no_hub_has_stand_in_a_warning_and_are_mapped_in_one_step(merchant, store, pune) -> None:
    for location in ("NEWX", "NEWX", "OLDX"):
        make_workable(pune, make_order(store, OrderState.ON_HOLD, seller_flex_hub_id=location))
    page = merchant.get(path(store))
    assert "3 orders On Hold: no hub has their Seller Flex Hub ID" in words(page)
    assert "NEWX : 2 orders" in words(page)
    assert "OLDX : 1 order" in words(page)
    answer = merchant.post(path(store), data={"unmapped": "NEWX", "unmapped-hub_id": str(pune.id)})
    assert answer.status_code == 303
    page = merchant.get(path(store))
    assert "2 orders On Hold became New Orders" in words(page)
    assert "1 order On Hold: no hub has its Seller Flex Hub ID" in words(page)
    assert "Every active hub has an id in this store already." in words(page)
    assert mappings() == [(pune.id, "NEWX", True)]


def test_mapping_an_unmapped_id_without_a_hub_or_to_one_just_mapped_is_told(merchant, asha, store, pune, delhi) -> None:
    make_order(store, OrderState.ON_HOLD, seller_flex_hub_id="NEWX")
    answer = merchant.post(path(store), data={"unmapped": "NEWX", "unmapped-hub_id": ""})
    assert answer.status_code == 422
    assert "Pick the hub that works the orders of this id." in words(answer)
    assert 'href="#unmapped-NEWX"' in answer.text
    assert 'id="unmapped-NEWX"' in answer.text
    make_mapping(store, pune, "EXSB")
    answer = merchant.post(path(store), data={"unmapped": "NEWX", "unmapped-hub_id": str(pune.id)})
    assert answer.status_code == 409
    assert "Nothing of yours was saved" in words(answer)
    answer = merchant.post(path(store), data={"unmapped": XSS, "unmapped-hub_id": str(delhi.id)})
    assert answer.status_code == 422
    assert XSS not in answer.text
    assert mappings() == [(pune.id, "EXSB", True)]


def test_amazons_own_spelling_of_an_id_is_taken_with_one_click(merchant, store, pune, delhi) -> None:
    make_mapping(store, pune, "exsb")
    make_mapping(store, delhi, "PNQ1")
    for hub, location in ((pune, "OLD1"), (pune, "EXSB"), (delhi, "PNQ1")):
        make_order(store, OrderState.NEW, hub=hub, seller_flex_hub_id=location)
    page = merchant.get(path(store))
    assert words(page).count("Amazon writes it") == 1
    assert "Amazon writes it EXSB Its orders carry EXSB and come to this hub all the same." in words(page)
    form = next(form for form in re.findall(r"<form.*?</form>", page.text, re.DOTALL) if "Write it EXSB" in form)
    hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form))
    assert merchant.post(path(store), data=hidden).status_code == 303
    assert mappings() == [(pune.id, "EXSB", True), (delhi.id, "PNQ1", True)]
    assert "Amazon writes it" not in words(merchant.get(path(store)))


def test_each_mapping_says_what_it_affects(merchant, asha, store, pune, delhi) -> None:
    make_mapping(store, pune, "EXSB")
    make_mapping(store, delhi, "DELX", is_active=False)
    make_order(store, OrderState.ON_HOLD, seller_flex_hub_id="DELX")
    page = words(merchant.get(path(store)))
    assert "New orders for EXSB go to Pune Hub." in page
    assert "1 order On Hold waits for this mapping: saving it as active lets it go." in page
    assert "no hub has" not in page


def test_only_orders_that_a_mapping_lets_go_are_said_to_wait_for_it(merchant, store, pune, delhi) -> None:
    make_mapping(store, pune, "EXSB")
    make_mapping(store, delhi, "DELX", is_active=False)
    for location in ("EXSB", "DELX"):
        for reason in (HoldReason.NOT_ENOUGH_STOCK, HoldReason.SKU_UNKNOWN):
            make_order(store, OrderState.ON_HOLD, seller_flex_hub_id=location, hold_reason=reason)
    page = words(merchant.get(path(store)))
    assert "New orders for EXSB go to Pune Hub." in page
    assert "New orders for DELX go On Hold." in page
    assert "wait for this mapping" not in page

    both, only = (
        make_order(store, OrderState.ON_HOLD, seller_flex_hub_id="DELX", hold_reason=HoldReason.HUB_INACTIVE)
        for _ in range(2)
    )
    extra = OrderHold(workspace_id=store.workspace_id, reason=HoldReason.NOT_ENOUGH_STOCK, detail="None there.")
    both.holds.append(extra)
    db.session.commit()
    answer = merchant.get(path(store))
    assert (
        "2 orders On Hold wait for this mapping: saving it as active lets 1 of them go; the others wait for something "
        "else, too." in words(answer)
    )
    link = html.unescape(re.search(r'href="([^"]+)">2 orders On Hold', answer.text).group(1))
    listed = merchant.get(link).text
    assert {order.id for order in db.session.scalars(db.select(Order)) if f'"/orders/{order.id}"' in listed} == {
        both.id,
        only.id,
    }
    only.state = OrderState.NEW
    db.session.commit()
    page = words(merchant.get(path(store)))
    assert "1 order On Hold waits for this mapping, and for something else, too" in page


def test_without_a_hub_the_page_says_what_to_do(merchant, asha, store, signed_in) -> None:
    assert "ask an admin to add it" in words(merchant.get(path(store)))
    admin = signed_in(make_user(asha.workspace, Role.ADMIN))
    assert 'href="/admin/hubs/new"' in admin.get(path(store)).text


# Removing -------------------------------------------------------------------------------------------------------------


def test_removing_asks_first_and_says_what_happens_to_orders(merchant, store, pune) -> None:
    make_mapping(store, pune, "EXSB")
    page = merchant.get(path(store, f"/{pune.id}/remove"))
    assert "Remove EXSB from Pune Hub?" in words(page)
    assert "New orders for EXSB then go On Hold" in words(page)
    assert mappings() != []
    answer = merchant.post(path(store, f"/{pune.id}/remove"), data={"version": "1", "reason": "Closed"})
    assert (answer.status_code, answer.location) == (303, path(store))
    assert mappings() == []
    assert sentences() == ["Asha removed the Seller Flex Hub ID EXSB from Pune Hub in Pune Store"]
    assert "EXSB belongs to no hub now." in words(merchant.get(path(store)))
    assert merchant.get(path(store, f"/{pune.id}/remove")).status_code == 404


def test_removing_says_what_amazon_goes_on_selling(merchant, store, pune) -> None:
    make_mapping(store, pune, "EXSB")
    tell(store, "A", 200)
    tell(store, "B", 40)
    page = words(merchant.get(path(store, f"/{pune.id}/remove")))
    assert "Amazon sells 2 SKUs (240 units) at EXSB" in page
    assert "set the stock there to 0 and wait for the next Inventory Sync first" in page
    merchant.post(path(store, f"/{pune.id}/remove"), data={"version": "1"})
    assert "goes on selling what it was told last: 2 SKUs (240 units)." in words(merchant.get(path(store)))


@pytest.mark.parametrize(("location", "is_active"), [("EXSB", False), ("EXSC", True)])
def test_leaving_a_location_where_amazon_sells_is_asked_once_more(merchant, store, pune, location, is_active) -> None:
    make_mapping(store, pune, "EXSB")
    tell(store, "A", 200)
    data = fields(merchant.get(path(store)), pune.id) | {f"hub{pune.id}-seller_flex_hub_id": location}
    if not is_active:
        del data[f"hub{pune.id}-is_active"]
    asked = merchant.post(path(store), data=data)
    assert (asked.status_code, mappings()) == (422, [(pune.id, "EXSB", True)])
    assert "Amazon sells 1 SKU (200 units) at EXSB" in words(asked)
    assert "Nothing is saved yet. Save once more" in words(asked)
    assert merchant.post(path(store), data=fields(asked, pune.id)).status_code == 303
    assert mappings() == [(pune.id, location, is_active)]
    assert "goes on selling what it was told last: 1 SKU (200 units)." in words(merchant.get(path(store)))


def test_removing_what_was_changed_meanwhile_is_refused_with_the_present_state(merchant, asha, store, pune) -> None:
    make_mapping(store, pune, "EXSB")
    ravi = make_actor(make_user(asha.workspace, name="Ravi"))
    hub_mapping.change(ravi, store.id, pune.id, "EXSC", is_active=True, version=1)
    answer = merchant.post(path(store, f"/{pune.id}/remove"), data={"version": "1", "reason": "Closed"})
    assert answer.status_code == 409
    assert "Ravi changed the Seller Flex Hub ID of Pune Hub" in words(answer)
    assert "Remove EXSC from Pune Hub?" in words(answer)
    assert 'value="Closed"' in answer.text
    answer = merchant.post(path(store, f"/{pune.id}/remove"), data={"version": "2", "reason": "x" * 301})
    assert answer.status_code == 422
    assert mappings() == [(pune.id, "EXSC", True)]


# Verifying ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "badge"),
    [
        (VerifyResult.FOUND, "In use on Amazon"),
        (VerifyResult.EMPTY, "No shipments on Amazon"),
        (VerifyResult.REFUSED, "Refused by Amazon"),
    ],
)
def test_verify_shows_a_badge_with_what_amazon_said(merchant, store, pune, monkeypatch, result, badge) -> None:
    make_mapping(store, pune, "EXSB")
    assert "Not verified" in words(merchant.get(path(store)))

    def ask(client, marketplace_id, location):
        return result, f"Words about {location}."

    monkeypatch.setattr(hub_verification, "_ask", ask)
    answer = merchant.post(path(store, f"/{pune.id}/verify"))
    assert (answer.status_code, answer.location) == (303, f"{path(store)}#hub-{pune.id}")
    page = words(merchant.get(path(store)))
    assert f"{badge} Words about EXSB. Asked" in page
    assert page.count("Words about EXSB.") == 2


@pytest.mark.parametrize(
    "refusal",
    [
        hub_verification.VerifyFailed("EXSB was not verified. Amazon did not answer."),
        StoreNotConnected("This store is not connected to Amazon."),
        ChangedMeanwhile("The Seller Flex Hub ID was changed."),
    ],
)
def test_an_amazon_that_cannot_be_asked_is_a_sentence_on_the_page(merchant, store, pune, monkeypatch, refusal) -> None:
    make_mapping(store, pune, "EXSB")

    def verify(*args):
        raise refusal

    monkeypatch.setattr(hub_verification, "verify", verify)
    assert merchant.post(path(store, f"/{pune.id}/verify")).status_code == 303
    assert refusal.sentence in words(merchant.get(path(store)))


def test_a_missing_key_is_a_sentence_on_the_page_too(merchant, store, pune) -> None:
    make_mapping(store, pune, "EXSB")
    store.refresh_token_encrypted = Fernet(Fernet.generate_key()).encrypt(b"Atzr|x")
    db.session.commit()
    assert merchant.post(path(store, f"/{pune.id}/verify")).status_code == 303
    page = words(merchant.get(path(store)))
    assert "EXSB was not verified." in page
    assert "missing from ENCRYPTION_KEYS" in page


def test_a_hub_without_an_id_cannot_be_verified(merchant, store, pune) -> None:
    assert merchant.post(path(store, f"/{pune.id}/verify")).status_code == 404


# Who may --------------------------------------------------------------------------------------------------------------


def test_support_reads_the_mappings_and_changes_none(asha, store, pune, signed_in) -> None:
    make_mapping(store, pune, "EXSB")
    make_order(store, OrderState.ON_HOLD, seller_flex_hub_id="NEWX")
    support = signed_in(make_user(asha.workspace, Role.SUPPORT))
    page = support.get(path(store))
    assert page.status_code == 200
    assert "Seller Flex Hub ID: EXSB" in words(page)
    assert "NEWX" in page.text
    assert 'name="hub"' not in page.text
    assert 'name="unmapped"' not in page.text
    assert "Verify with Amazon" not in page.text
    for rest in ("", f"/{pune.id}/verify", f"/{pune.id}/remove"):
        assert support.post(path(store, rest), data={"hub": str(pune.id)}).status_code == 403
    assert support.get(path(store, f"/{pune.id}/remove")).status_code == 403
    assert mappings() == [(pune.id, "EXSB", True)]


def test_a_store_of_others_does_not_exist(asha, store, pune, signed_in) -> None:
    make_mapping(store, pune, "EXSB")
    stranger = signed_in(make_user(make_workspace(), Role.ADMIN))
    limited = signed_in(make_user(asha.workspace, sellers=[make_seller(asha.workspace)]))
    for browser in (stranger, limited):
        assert browser.get(path(store)).status_code == 404
        assert browser.get(path(store, f"/{pune.id}/remove")).status_code == 404
        for rest in ("", f"/{pune.id}/verify", f"/{pune.id}/remove"):
            assert browser.post(path(store, rest), data={"hub": str(pune.id), "version": "1"}).status_code == 404
    assert mappings() == [(pune.id, "EXSB", True)]


def test_a_draft_leads_back_to_where_it_is_connected(merchant, asha, pune) -> None:
    draft = make_store(make_seller(asha.workspace), StoreStatus.DRAFT)
    for answer in (merchant.get(path(draft)), merchant.post(path(draft), data={"hub": str(pune.id)})):
        assert (answer.status_code, answer.location) == (303, f"/stores/{draft.id}")


# Many hubs ------------------------------------------------------------------------------------------------------------


def hubs_on(answer) -> list[str]:
    """Return the hubs of the page, in their order."""
    return re.findall(r"<h3>([^<]+)</h3>", answer.text)


@pytest.fixture
def many(asha, store, monkeypatch):
    """Seven hubs on pages of three, two of them with an id."""
    monkeypatch.setattr(mapping, "HUBS_PER_PAGE", 3)
    hubs = [make_hub(asha.workspace, f"H{n}", f"Hub {n}", city="Pune" if n == 6 else "Delhi") for n in range(7)]
    make_mapping(store, hubs[2], "EXSB")
    make_mapping(store, hubs[5], "QXYZ")
    return hubs


def test_hubs_come_in_pages_and_are_found(merchant, store, many) -> None:
    address = f"/stores/{store.id}/hubs"
    page = merchant.get(address)
    assert hubs_on(page) == ["Hub 0", "Hub 1", "Hub 2"]
    following = html.unescape(re.search(r'rel="next" href="([^"]+)"', page.text)[1])
    assert hubs_on(merchant.get(address + following)) == ["Hub 3", "Hub 4", "Hub 5"]
    assert hubs_on(merchant.get(f"{address}?show=mapped")) == ["Hub 2", "Hub 5"]
    assert hubs_on(merchant.get(f"{address}?show=unmapped")) == ["Hub 0", "Hub 1", "Hub 3"]
    for text, found in (("exs", "Hub 2"), ("h4", "Hub 4"), ("pune", "Hub 6"), ("hub 1", "Hub 1")):
        assert hubs_on(merchant.get(f"{address}?q={text}")) == [found]
    assert "No hub fits these filters." in words(merchant.get(f"{address}?q=zzz"))


def test_a_hub_of_another_page_comes_first_with_what_was_typed_wrong(merchant, store, many) -> None:
    address = f"/stores/{store.id}/hubs"
    answer = merchant.post(address, data={"hub": many[6].id, f"hub{many[6].id}-seller_flex_hub_id": "EXSB"})
    assert answer.status_code == 422
    assert hubs_on(answer)[0] == "Hub 6"
    assert 'value="EXSB"' in answer.text


def test_saving_leads_back_to_the_page_it_was_on(merchant, store, many) -> None:
    address = f"/stores/{store.id}/hubs"
    narrowed = f"{address}?show=unmapped"
    page = merchant.get(narrowed)
    assert f'action="{narrowed}"' in page.text
    values = fields(page, many[0].id) | {f"hub{many[0].id}-seller_flex_hub_id": "ABCD"}
    assert merchant.post(narrowed, data=values).location == narrowed
    values = fields(merchant.get(narrowed), many[1].id) | {f"hub{many[1].id}-seller_flex_hub_id": "ABCD"}
    refused = merchant.post(narrowed, data=values)
    assert (refused.status_code, hubs_on(refused)) == (422, ["Hub 1", "Hub 3", "Hub 4"])
    removal = f"{address}/{many[2].id}/remove?q=hub"
    assert f'href="{removal}"' in merchant.get(f"{address}?q=hub").text
    assert f'href="{address}?q=hub"' in merchant.get(removal).text
    foreign = merchant.post(
        f"{address}?//evil.example%0d%0aX:y", data=values | {f"hub{many[1].id}-seller_flex_hub_id": "EF"}
    )
    assert foreign.location.startswith(f"{address}?")
    assert "\r" not in foreign.location
