"""Apps & Integration as a browser meets it: the apps, the wizard, and the way in that begins at Amazon."""

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from sqlalchemy import func, select

from flexdash import clock
from flexdash.amazon import operations
from flexdash.blueprints.apps import catalogue
from flexdash.extensions import db
from flexdash.models import AuthorizationAttempt, Role, Store, StoreStatus, Sync
from flexdash.services import amazon_powers
from tests.factories import make_seller, make_store, make_sync_state, make_user, make_workspace
from tests.support.statements import statements
from tests.support.web import words

FLEX = "/apps/amazon-seller-flex"


def stores_of(person, sort: str) -> list[str]:
    """Return the stores of all pages of the list, in their order."""
    address, found = f"{FLEX}?sort={sort}", []
    while address:
        html = person.get(address).text
        found += re.findall(r'<th scope="row"[^>]*><div class="cell">(?:<a [^>]*>)?([^<]+)<', html)
        following = re.search(r'rel="next" href="([^"]+)"', html)
        address = FLEX + following[1].replace("&amp;", "&") if following else ""
    return found


@pytest.fixture
def asha(signed_in, workspace):
    """A merchant's browser."""
    return signed_in(make_user(workspace, name="Asha"))


@pytest.fixture
def support(signed_in, workspace):
    return signed_in(make_user(workspace, Role.SUPPORT))


# The apps -------------------------------------------------------------------------------------------------------------


def test_who_may_add_a_seller_is_told_to_where_there_is_none(signed_in, workspace) -> None:
    for role, said in ((Role.ADMIN, "Add a seller first"), (Role.MERCHANT, "An admin makes sellers")):
        person = signed_in(make_user(workspace, role))
        for address in ("/apps", "/apps/amazon-seller-flex"):
            page = person.get(address).text
            assert said in page
            assert ('href="/admin/sellers/new"' in page) == (role is Role.ADMIN)


def test_apps_ask_for_the_seller_and_keep_it_in_the_address(asha, seller, workspace) -> None:
    other = make_seller(workspace, "Nova")
    make_store(seller)
    page = asha.get("/apps").text
    assert "Choose a seller" in page
    page = asha.get(f"/apps?seller={seller.id}").text
    assert f'<option value="{seller.id}" selected>Sunrise</option>' in page
    assert f'href="{FLEX}?seller={seller.id}"' in page
    assert "Connected" in page
    assert "1 store" in page
    assert "Not connected" in asha.get(f"/apps?seller={other.id}").text


def test_the_only_seller_needs_no_choosing(asha, seller) -> None:
    assert "Not connected" in asha.get("/apps").text


def test_the_card_shows_the_worst_health(asha, seller) -> None:
    make_store(seller)
    make_store(seller, name="Ending", authorization_expires_at=clock.now() + timedelta(days=12))
    page = asha.get("/apps").text
    assert "2 stores" in page
    assert "12 days left" in page
    assert "Ending: The authorization at Amazon ends in 12 days" in page
    make_store(seller, "needs_reauthorization", reauthorization_reason="invalid_grant <b>")
    page = asha.get("/apps").text
    assert "3 stores" in page
    assert "Needs re-authorization" in page
    assert "invalid_grant &lt;b&gt;" in page


def test_apps_are_found_by_their_words(asha, seller) -> None:
    assert "Amazon Seller Flex</a>" in asha.get("/apps?q=FLEX+amazon").text
    assert "Amazon Seller Flex</a>" in asha.get("/apps?q=fulfilment").text
    nothing = asha.get("/apps?q=%3Csvg+onload%3Dx%3E").text
    assert "No app is found" in nothing
    assert "<svg onload" not in nothing
    assert "Show all apps" in nothing


def test_without_a_seller_the_page_says_what_to_do(asha, signed_in, workspace) -> None:
    assert "An admin makes sellers" in asha.get("/apps").text
    assert "An admin makes sellers" in asha.get(FLEX).text
    admin = signed_in(make_user(workspace, Role.ADMIN))
    assert "/admin/sellers" in admin.get("/apps").text


@pytest.mark.parametrize("path", ["/apps", FLEX, f"{FLEX}/new"])
@pytest.mark.parametrize("value", ["x", "99999999", "-1", "1" * 30])
def test_a_seller_that_is_not_there_answers_404(asha, seller, path, value) -> None:
    assert asha.get(f"{path}?seller={value}").status_code == 404


def test_another_workspaces_seller_and_another_sellers_store_answer_404(signed_in, asha, workspace, seller) -> None:
    foreign = make_seller(make_workspace())
    assert asha.get(f"/apps?seller={foreign.id}").status_code == 404
    limited = signed_in(make_user(workspace, sellers=[make_seller(workspace, "Mine")]))
    assert limited.get(f"{FLEX}?seller={seller.id}").status_code == 404
    assert "Sunrise" not in limited.get(FLEX).text


def test_the_page_of_seller_flex_lists_stores_and_drafts(asha, support, seller) -> None:
    store = make_store(seller, name="Pune")
    draft = make_store(seller, "draft", name="Half done")
    gone = make_store(seller, "disconnected", name="Old")
    page = asha.get(f"{FLEX}?seller={seller.id}").text
    for link in (
        f"{FLEX}/new?seller={seller.id}",
        f"/stores/{store.id}",
        f"{FLEX}/{draft.id}/integrate",
        f"{FLEX}/{draft.id}/discard",
        f"/stores/{gone.id}/reconnect",
    ):
        assert f'href="{link}"' in page
    assert "Before you add a store, you need" in page
    seen = support.get(f"{FLEX}?seller={seller.id}").text
    assert "Pune" in seen
    for word in ("Add Store", "Discard", "Resume", "/reconnect"):
        assert word not in seen


def test_live_stores_come_first_and_the_order_is_chosen(asha, seller, monkeypatch) -> None:
    now = clock.now()
    make_store(seller, "disconnected", name="a gone", authorization_expires_at=now)
    make_store(seller, "draft", name="b draft")
    make_store(seller, "needs_reauthorization", name="D", authorization_expires_at=now + timedelta(days=9))
    make_store(seller, name="c", authorization_expires_at=now + timedelta(days=90))
    for size in (50, 2, 1):
        monkeypatch.setattr(catalogue, "STORES_PER_PAGE", size)
        assert stores_of(asha, "") == ["c", "D", "b draft", "a gone"]
        assert stores_of(asha, "newest") == ["c", "D", "b draft", "a gone"]
        assert stores_of(asha, "ending") == ["D", "c", "a gone", "b draft"]
    assert stores_of(asha, "nonsense") == ["c", "D", "b draft", "a gone"]


@pytest.mark.parametrize("path", ["/apps", FLEX])
def test_a_stale_inventory_sync_shows_while_order_sync_is_off(asha, seller, path) -> None:
    store = make_store(seller, is_inventory_sync_on=True, authorized_at=clock.now() - timedelta(days=9))
    assert "Stale" not in words(asha.get(path))
    make_sync_state(store, Sync.INVENTORY_PUSH, minutes_since_good=600)
    assert "Stale" in words(asha.get(path))


def test_of_many_stores_that_need_a_new_authorization_the_first_are_told_apart(asha, seller) -> None:
    for n in range(7):
        make_store(seller, "needs_reauthorization", name=f"Store {n}")
    for path in ("/apps", FLEX):
        html = asha.get(path).text
        assert html.count("Amazon refuses FlexDash&#39;s access") == 5
        assert f'href="/stores?seller={seller.id}">See all of them, the worst first</a>' in html


@pytest.mark.parametrize("path", ["/apps", FLEX])
def test_the_number_of_queries_does_not_grow_with_the_stores(asha, seller, path) -> None:
    def add(n: int) -> None:
        given = {"is_order_sync_on": True, "is_inventory_sync_on": True, "is_automated_cancellation_on": True}
        make_sync_state(make_store(seller, name=f"Store {n}", **given), Sync.INVENTORY_PUSH)
        make_store(seller, "needs_reauthorization", name=f"Refused {n}")
        make_store(seller, "draft", name=f"Draft {n}")

    add(0)
    with statements() as with_few:
        assert asha.get(path).status_code == 200
    for n in range(1, 12):
        add(n)
    with statements() as with_many:
        assert "24 stores" in (page := asha.get(path).text) or "Refused 11" in page
    assert len(with_many) <= len(with_few)


def test_an_empty_list_says_what_to_do(asha, seller) -> None:
    page = asha.get(FLEX).text
    assert "Sunrise has no store yet" in page
    assert "Add Store" in page


# The wizard -----------------------------------------------------------------------------------------------------------


def test_the_wizard_from_country_to_amazon(asha, settings, seller) -> None:
    page = asha.get(f"{FLEX}/new?seller={seller.id}").text
    for fact in ("India", "A21TJRUUN4KGV", "INR", "Seller Flex is known here", "Ask Amazon about Seller Flex"):
        assert fact in page
    answer = asha.post(f"{FLEX}/new?seller={seller.id}", data={"country": "AE"})
    draft = db.session.scalars(select(Store)).one()
    assert (answer.status_code, answer.location) == (303, f"{FLEX}/{draft.id}/name")
    assert (draft.status, draft.country_code, draft.seller_id) == (StoreStatus.DRAFT, "AE", seller.id)

    assert 'value="Sunrise United Arab Emirates"' in asha.get(answer.location).text
    answer = asha.post(answer.location, data={"name": " Dubai  Store "})
    assert (answer.status_code, answer.location) == (303, f"{FLEX}/{draft.id}/integrate")

    answer = asha.get(answer.location)
    assert "Dubai Store" in answer.text
    assert "What happens next" in answer.text
    assert "30 minutes" in answer.text
    # Browsers hold the redirect after the form against form-action.
    assert f"form-action 'self' {settings.amazon_seller_central_url}" in answer.headers["Content-Security-Policy"]
    answer = asha.post(f"{FLEX}/{draft.id}/integrate")
    assert answer.status_code == 303
    assert answer.location.startswith(f"{settings.amazon_seller_central_url}/apps/authorize/consent?")
    assert db.session.scalar(select(func.count(AuthorizationAttempt.id))) == 1


def test_the_merchant_consents_to_every_operation_that_flexdash_calls(asha, seller) -> None:
    known = {kept for kept in vars(operations).values() if isinstance(kept, operations.Operation)}
    known |= set(operations.shipment_operations(1).values())
    reads, changes = (
        {name for power in powers for name in power.operations}
        for powers in (amazon_powers.READS, amazon_powers.CHANGES)
    )
    # Inventory is asked about with the same POST that sets it.
    assert {one.name for one in known if one.is_read} - reads == set()
    assert {one.name for one in known if not one.is_read} - changes == set()
    assert reads & changes == {operations.BATCH_INVENTORY.name}
    of_access_alone = {"exchangeCode", "refreshToken"}
    assert reads | changes | of_access_alone == set(operations.NAMES)

    page = words(asha.get(f"{FLEX}/{make_store(seller, 'draft').id}/integrate"))
    for line in (*(power.sentence for power in amazon_powers.READS + amazon_powers.CHANGES), *amazon_powers.NEVER):
        assert line in page


@pytest.mark.parametrize(
    ("typed", "found", "not_found"),
    [
        ("ind", "India", "Japan"),
        ("UK", "United Kingdom", "India"),
        ("turkiye", "Turkey", "India"),
        ("inr", "India", "Egypt"),
        ("A1VC38T7YXB528", "Japan", "India"),
    ],
)
def test_countries_are_searched_without_javascript(asha, seller, typed, found, not_found) -> None:
    page = asha.get(f"{FLEX}/new?seller={seller.id}&{urlencode({'q': typed})}").text
    assert f">{found}</label>" in page
    assert f">{not_found}</label>" not in page


def test_a_search_without_a_find_says_so(asha, seller) -> None:
    page = asha.get(f"{FLEX}/new?seller={seller.id}&q=%3Csvg+onload%3Dalert(1)%3E").text
    assert "Amazon has no marketplace that fits" in page
    assert "<svg onload" not in page
    assert "Show all countries" in page


@pytest.mark.parametrize("data", [{}, {"country": "XX"}])
def test_a_country_has_to_be_chosen(asha, seller, data) -> None:
    answer = asha.post(f"{FLEX}/new?seller={seller.id}", data=data)
    assert answer.status_code == 422
    assert "There is a problem" in answer.text
    assert db.session.scalar(select(func.count(Store.id))) == 0


def test_the_wizard_asks_for_the_seller_first(asha, seller, workspace) -> None:
    make_seller(workspace, "Nova")
    answer = asha.get(f"{FLEX}/new")
    assert (answer.status_code, answer.location) == (303, FLEX)


def test_a_refused_name_stays_in_the_form(asha, seller) -> None:
    make_store(seller, name="Pune")
    draft = make_store(seller, "draft")
    answer = asha.post(f"{FLEX}/{draft.id}/name", data={"name": "pune"})
    assert answer.status_code == 422
    assert "named pune already" in answer.text
    assert 'value="pune"' in answer.text
    answer = asha.post(f"{FLEX}/{draft.id}/name", data={"name": ""})
    assert "Give the store a name" in answer.text


def test_a_draft_is_resumed_where_it_was_left(asha, seller) -> None:
    draft = make_store(seller, "draft", name="x")
    draft.name = ""
    db.session.commit()
    assert asha.get(f"/stores/{draft.id}").location == f"{FLEX}/{draft.id}/integrate"
    assert asha.get(f"{FLEX}/{draft.id}/integrate").location == f"{FLEX}/{draft.id}/name"
    assert re.search(r'<input(?=[^>]* checked)[^>]* value="IN"', asha.get(f"{FLEX}/{draft.id}/country").text)
    asha.post(f"{FLEX}/{draft.id}/country", data={"country": "GB"})
    assert db.session.get(Store, draft.id).currency == "GBP"


def test_a_name_taken_meanwhile_leads_back_to_the_name(asha, seller) -> None:
    draft = make_store(seller, "draft", name="Pune")
    make_store(seller, name="pune")
    answer = asha.post(f"{FLEX}/{draft.id}/integrate")
    assert answer.location == f"{FLEX}/{draft.id}/name"
    assert "already" in asha.get(answer.location).text


def test_discarding_asks_first(asha, seller) -> None:
    draft = make_store(seller, "draft", name="Half done")
    assert "Discard Half done?" in asha.get(f"{FLEX}/{draft.id}/discard").text
    assert db.session.get(Store, draft.id) is not None
    answer = asha.post(f"{FLEX}/{draft.id}/discard")
    assert answer.location == f"{FLEX}?seller={seller.id}"
    assert "Half done is discarded" in asha.get(answer.location).text
    assert db.session.scalar(select(func.count(Store.id))) == 0


@pytest.mark.parametrize("step", ["country", "name", "integrate", "discard"])
def test_the_wizard_is_over_for_a_connected_store(asha, seller, step) -> None:
    store = make_store(seller)
    for answer in (asha.get(f"{FLEX}/{store.id}/{step}"), asha.post(f"{FLEX}/{store.id}/{step}")):
        assert answer.location == f"/stores/{store.id}"


@pytest.mark.parametrize("step", ["country", "name", "integrate", "discard"])
def test_support_and_strangers_do_not_enter_the_wizard(signed_in, support, seller, step) -> None:
    draft = make_store(seller, "draft")
    stranger = signed_in(make_user(make_workspace(), Role.ADMIN))
    for method in ("get", "post"):
        assert getattr(support, method)(f"{FLEX}/{draft.id}/{step}").status_code == 403
        assert getattr(stranger, method)(f"{FLEX}/{draft.id}/{step}").status_code == 404


@pytest.mark.parametrize("path", [f"{FLEX}/new", f"{FLEX}/{{}}/integrate", "/stores/{}/disconnect"])
def test_forms_without_their_token_do_nothing(asha, seller, path) -> None:
    draft = make_store(seller, "draft" if "integrate" in path else "connected")
    answer = asha.post(path.format(draft.id) + f"?seller={seller.id}", data={"country": "IN"}, with_csrf_token=False)
    assert answer.status_code in (400, 422)
    assert db.session.scalar(select(func.count(AuthorizationAttempt.id))) == 0
    assert db.session.scalar(select(func.count(Store.id))) == 1


# From Amazon first ----------------------------------------------------------------------------------------------------


def login_address(settings, account="A3SBXSUNRISEIN", **more) -> str:
    values = {
        "amazon_callback_uri": f"{settings.amazon_seller_central_url}/apps/authorize/confirm/app",
        "amazon_state": "theirs",
        "selling_partner_id": account,
    } | more
    return "/amazon/login?" + urlencode(values)


def test_a_known_account_is_offered_its_store_first(asha, settings, seller) -> None:
    store = make_store(seller, name="Pune", amazon_selling_partner_id="A3SBXSUNRISEIN")
    make_store(seller, name="Another")
    answer = asha.get(login_address(settings))
    assert "Pune: Sunrise, India" in answer.text
    assert "Another" not in answer.text
    assert f"form-action 'self' {settings.amazon_seller_central_url}" in answer.headers["Content-Security-Policy"]
    answer = asha.post(login_address(settings), data={"store": str(store.id)})
    assert answer.status_code == 303
    parts = urlsplit(answer.location)
    assert parts.path == "/apps/authorize/confirm/app"
    query = parse_qs(parts.query)
    assert query["amazon_state"] == ["theirs"]
    assert set(query) == {"amazon_state", "state", "redirect_uri"}


def test_an_unknown_account_becomes_a_new_store(asha, settings, seller) -> None:
    make_store(seller, name="Another")
    answer = asha.post(login_address(settings), data={"store": "new"})
    assert answer.status_code == 422
    for sentence in ("Choose the seller", "Choose the country", "Give the store a name"):
        assert sentence in answer.text
    data = {"store": "new", "seller": str(seller.id), "country": "IN", "name": "another"}
    answer = asha.post(login_address(settings), data=data)
    assert answer.status_code == 422
    assert "named another already" in answer.text
    assert db.session.scalar(select(func.count(Store.id))) == 1
    answer = asha.post(login_address(settings), data=data | {"name": "Pune"})
    assert answer.status_code == 303
    assert db.session.scalars(select(Store).where(Store.name == "Pune")).one().status is StoreStatus.DRAFT


def test_an_unknown_account_may_be_a_drafts(asha, settings, seller) -> None:
    draft = make_store(seller, "draft", name="Half done")
    assert "Half done: Sunrise, India" in asha.get(login_address(settings)).text
    assert asha.post(login_address(settings), data={"store": str(draft.id)}).status_code == 303


@pytest.mark.parametrize("choice", ["99999", "foreign", "x"])
def test_only_offered_stores_can_be_chosen(asha, settings, seller, choice) -> None:
    foreign = make_store(make_seller(make_workspace()), amazon_selling_partner_id="A3SBXSUNRISEIN")
    data = {"store": str(foreign.id) if choice == "foreign" else choice}
    assert asha.post(login_address(settings), data=data).status_code == 422
    foreign_seller = {"store": "new", "seller": str(foreign.seller_id), "country": "IN", "name": "Pune"}
    assert asha.post(login_address(settings), data=foreign_seller).status_code == 422
    assert db.session.scalar(select(func.count(AuthorizationAttempt.id))) == 0


@pytest.mark.parametrize("address", ["", "https://evil.example/", "https://sellercentral.amazon.in.evil.example/"])
def test_an_address_that_is_not_amazons_is_not_followed(asha, settings, seller, address) -> None:
    store = make_store(seller)
    path = login_address(settings, amazon_callback_uri=address)
    for answer in (asha.get(path), asha.post(path, data={"store": str(store.id)})):
        assert answer.status_code == 400
        assert "does not lead to Amazon" in answer.text
        assert "evil.example" not in answer.text + answer.headers["Content-Security-Policy"]


def test_a_signed_out_person_signs_in_and_goes_on(client, settings, seller, workspace) -> None:
    answer = client.get(login_address(settings))
    assert answer.status_code in (302, 303)
    target = parse_qs(urlsplit(answer.location).query)["next"][0]
    assert target == login_address(settings)
