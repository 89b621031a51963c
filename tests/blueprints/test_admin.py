"""The admin pages, as an admin's browser meets them."""

import re

import pytest
from sqlalchemy import event, select

from flexdash.extensions import db
from flexdash.models import ConfigEvent, Hub, OrderState, Role, Seller, User
from flexdash.services import passwords
from tests.factories import (
    make_hub,
    make_mapping,
    make_order,
    make_seller,
    make_sku,
    make_store,
    make_user,
    make_workable,
    make_workspace,
)
from tests.support.inventory_pages import tell

NEW = "correct horse battery staple"
XSS = '"><svg onload=alert(1)>'


@pytest.fixture
def asha(app):
    return make_user(make_workspace(), Role.ADMIN, name="Asha", email="asha@company.example")


@pytest.fixture
def admin(asha, signed_in):
    """A browser in which the admin Asha is signed in."""
    return signed_in(asha)


@pytest.fixture
def ravi(asha):
    return make_user(asha.workspace, name="Ravi", email="ravi@company.example")


def sentences():
    return db.session.scalars(select(ConfigEvent.sentence).order_by(ConfigEvent.id)).all()


def made_password(page):
    return re.search(r"<code>([a-z2-9-]+)</code>", page).group(1)


def test_the_list_of_users_shows_role_sellers_and_state(admin, asha):
    make_user(asha.workspace, name="Ravi", sellers=[make_seller(asha.workspace, "Nova Home")])
    make_user(asha.workspace, Role.SUPPORT, name="Meera", is_active=False)
    page = admin.get("/admin/users").text
    for words in ("Asha", "Ravi", "Nova Home", "Meera", "Deactivated", "Support"):
        assert words in page
    assert "Ravi" not in admin.get("/admin/users?role=admin").text
    assert "Ravi" not in admin.get("/admin/users?status=inactive").text
    assert "Nobody fits these filters." in admin.get("/admin/users?q=zzz").text
    assert admin.get("/admin/users?role=king&status=odd&sort=none&q=%01").status_code == 200


def test_long_lists_come_in_pages(admin, asha):
    for n in range(55):
        make_user(asha.workspace, name=f"Person {n:02d}", email=f"long{n}@company.example")
    first = admin.get("/admin/users").text
    assert "Person 48" in first
    assert "Person 54" not in first
    following = re.search(r'rel="next" href="([^"]+)"', first).group(1)
    assert "Person 54" in admin.get(f"/admin/users{following}".replace("&amp;", "&")).text
    assert "Person 54" in admin.get("/admin/users?sort=newest").text


def test_a_user_with_a_made_password_is_shown_it_once(admin, client):
    data = {"name": "Meera", "email": "meera@company.example", "role": "support", "password": ""}
    answer = admin.post("/admin/users/new", data=data)
    assert answer.status_code == 303
    page = admin.get(answer.location)
    assert page.headers["Cache-Control"] == "no-store"
    password = made_password(page.text)
    user = db.session.scalars(select(User).where(User.name == "Meera")).one()
    assert passwords.verify(user.password_hash, password)
    again = admin.get(answer.location)
    assert again.status_code == 303
    assert password not in admin.get(again.location).text
    assert client.post("/sign-in", data={"email": user.email, "password": password}).status_code == 303


def test_the_cookie_does_not_carry_the_made_password_in_the_clear(admin, ravi):
    answer = admin.post(f"/admin/users/{ravi.id}/reset-password", data={"password": ""})
    with admin.session_transaction() as session:
        kept = str(dict(session))
    password = made_password(admin.get(answer.location).text)
    assert password not in kept
    assert passwords.verify(ravi.password_hash, password)


def test_a_made_password_is_not_shown_under_another_persons_name(admin, asha, ravi):
    admin.post(f"/admin/users/{ravi.id}/reset-password", data={"password": ""})
    other = make_user(asha.workspace)
    assert admin.get(f"/admin/users/{other.id}/password").status_code == 303


def test_a_user_with_a_set_password_and_some_sellers(admin, asha):
    nova, alpine = (make_seller(asha.workspace, name) for name in ("Nova Home", "Alpine Goods"))
    data = {
        "name": "Ravi",
        "email": "ravi@company.example",
        "role": "merchant",
        "is_limited": "y",
        "seller_ids": [nova.id],
        "password": NEW,
    }
    assert admin.post("/admin/users/new", data=data).location == "/admin/users"
    ravi = db.session.scalars(select(User).where(User.name == "Ravi")).one()
    assert [seller.name for seller in ravi.sellers] == ["Nova Home"]

    page = admin.get(f"/admin/users/{ravi.id}").text
    assert re.search(rf'<input[^>]* checked[^>]* value="{nova.id}"', page)
    assert not re.search(rf'<input[^>]* checked[^>]* value="{alpine.id}"', page)
    data = {"name": "Ravi", "email": "ravi@company.example", "role": "merchant", "seller_ids": [nova.id]}
    admin.post(f"/admin/users/{ravi.id}", data=data)
    assert not ravi.is_limited_to_sellers
    assert sentences()[-1] == "Asha changed Ravi's sellers from Nova Home to all sellers"


def test_all_that_is_wrong_with_a_user_or_a_hub_is_said_at_once(admin):
    typed = {"name": "x" * 101, "email": "nonsense", "role": "admin", "is_limited": "y", "password": "short"}
    page = admin.post("/admin/users/new", data=typed).text
    for field in ("name", "email", "seller_ids", "password"):
        assert f'href="#{field}"' in page
    page = admin.post("/admin/hubs/new", data={"code": "P U", "name": "x" * 101, "city": "x" * 101}).text
    for field in ("code", "name", "city", "country_code"):
        assert f'href="#{field}"' in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": ""}, "Give the person&#39;s name."),
        ({"email": "nonsense"}, "Give an e-mail address"),
        ({"email": "asha@company.example"}, "already belongs to a FlexDash account"),
        ({"password": "short"}, "Use at least 12 characters"),
        ({"is_limited": "y"}, "Tick at least one seller"),
        ({"role": "admin", "is_limited": "y"}, "Only merchants can be limited"),
    ],
)
def test_a_user_that_cannot_be_keeps_what_was_typed(admin, changes, words):
    data = {"name": "Typed Name", "email": "typed@company.example", "role": "merchant", "password": NEW, **changes}
    page = admin.post("/admin/users/new", data=data)
    assert page.status_code == 422
    assert page.text.count(words) == 2  # in the summary and beside the field
    assert "There is a problem" in page.text
    assert data["name"] in page.text
    assert NEW not in page.text


def test_changing_a_role_is_saved_and_logged(admin, ravi):
    data = {"name": "Ravi", "email": ravi.email, "role": "admin"}
    assert admin.post(f"/admin/users/{ravi.id}", data=data).status_code == 303
    assert ravi.role is Role.ADMIN
    assert sentences() == ["Asha changed Ravi's role from merchant to admin"]


def test_deactivating_asks_first_and_ends_sessions(admin, ravi, signed_in):
    his = signed_in(ravi)
    asked = admin.get(f"/admin/users/{ravi.id}/deactivate")
    assert "Deactivate Ravi?" in asked.text
    assert ravi.is_active
    assert admin.post(f"/admin/users/{ravi.id}/deactivate", data={"reason": "Left"}).status_code == 303
    assert "was deactivated" in his.get(his.get("/account").location).text
    assert "Reactivate" in admin.get(f"/admin/users/{ravi.id}").text
    assert admin.post(f"/admin/users/{ravi.id}/reactivate").status_code == 303
    assert sentences() == ["Asha deactivated Ravi", "Asha reactivated Ravi"]


def test_the_last_admin_cannot_go(admin, asha):
    page = admin.post(f"/admin/users/{asha.id}/deactivate")
    assert page.status_code == 422
    assert "the last active admin" in page.text
    data = {"name": "Asha", "email": asha.email, "role": "support"}
    assert "the last active admin" in admin.post(f"/admin/users/{asha.id}", data=data).text
    assert asha.role is Role.ADMIN


def test_ones_own_password_is_changed_on_the_account_page(admin, asha):
    assert admin.get(f"/admin/users/{asha.id}/reset-password").location == "/account/password"


def test_a_reset_password_ends_the_persons_sessions(admin, ravi, signed_in):
    his = signed_in(ravi)
    page = admin.post(f"/admin/users/{ravi.id}/reset-password", data={"password": "short"})
    assert page.status_code == 422
    assert "Use at least 12 characters" in page.text
    assert admin.post(f"/admin/users/{ravi.id}/reset-password", data={"password": NEW}).status_code == 303
    assert his.get("/account").status_code == 302
    assert passwords.verify(ravi.password_hash, NEW)


def test_sellers_are_added_renamed_and_switched_off(admin, asha):
    assert "There is no seller yet." in admin.get("/admin/sellers").text
    answer = admin.post("/admin/sellers/new", data={"name": "Nova Home"})
    page = admin.get(answer.location).text
    assert "No store is connected for this seller yet." in page
    assert "This seller has no SKU yet." in admin.get(f"{answer.location}/skus").text

    again = admin.post("/admin/sellers/new", data={"name": "nova home"})
    assert again.status_code == 422
    assert again.text.count("Another seller of this workspace has this name.") == 2
    assert 'value="nova home"' in again.text

    seller = db.session.scalars(select(Seller)).one()
    admin.post(f"/admin/sellers/{seller.id}/rename", data={"name": "Nova Living"})
    make_store(seller, name="Nova India")
    asked = admin.get(f"/admin/sellers/{seller.id}/deactivate").text
    assert "These stores stay connected and go on syncing" in asked
    assert "Nova India" in asked
    admin.post(f"/admin/sellers/{seller.id}/deactivate", data={"reason": ""})
    assert "This seller is inactive" in admin.get(f"/admin/sellers/{seller.id}").text
    admin.post(f"/admin/sellers/{seller.id}/reactivate")
    assert seller.is_active
    assert len(sentences()) == 4
    listed = admin.get("/admin/sellers").text
    assert "Nova Living" in listed
    assert "No seller fits these filters." in admin.get("/admin/sellers?q=zzz").text


def shown(browser, address):
    """Return what names the rows of all pages of a list, in their order."""
    path, found = address.partition("?")[0], []
    while address:
        html = browser.get(address).text
        found += re.findall(r'<th scope="row"[^>]*><div class="cell">(?:<a [^>]*>)?([^<]+)<', html)
        following = re.search(r'rel="next" href="([^"]+)"', html)
        address = path + following[1].replace("&amp;", "&") if following else ""
    return found


def test_a_sellers_skus_are_searched_and_paged(admin, asha):
    seller = make_seller(asha.workspace)
    for n in range(52):
        make_sku(seller, f"CODE-{n:02d}", f"Thing {n}")
    skus = f"/admin/sellers/{seller.id}/skus"
    assert shown(admin, skus) == [f"CODE-{n:02d}" for n in range(52)]
    assert shown(admin, f"{skus}?sort=z") == [f"CODE-{n:02d}" for n in reversed(range(52))]
    assert shown(admin, f"{skus}?q=thing+50") == ["CODE-50"]
    assert "No SKU of this seller has that" in admin.get(f"{skus}?q=zzz").text


def test_a_sellers_many_stores_are_paged_sorted_and_narrowed(admin, asha):
    seller = make_seller(asha.workspace)
    names = [f"Store {n:02d}" for n in range(60)]
    for name in names:
        make_store(seller, "disconnected" if name == "Store 07" else "connected", name=name)
    make_store(make_seller(asha.workspace), name="Store of another seller")
    stores = f"/admin/sellers/{seller.id}"
    assert shown(admin, stores) == names
    assert shown(admin, f"{stores}?sort=z") == names[::-1]
    assert shown(admin, f"{stores}?sort=newest&q=store+1") == names[19:9:-1]
    assert shown(admin, f"{stores}?status=disconnected") == ["Store 07"]
    assert "No store of this seller fits these filters." in admin.get(f"{stores}?status=draft").text


PUNE = {
    "code": "PUNE",
    "name": "Pune Warehouse",
    "city": "Pune",
    "country_code": "IN",
    "time_zone": "Asia/Kolkata",
}


def test_hubs_are_added_and_changed(admin, asha):
    assert "There is no hub yet." in admin.get("/admin/hubs").text
    assert re.search(r'<option selected[^>]*value="Asia/Kolkata"', admin.get("/admin/hubs/new").text)
    assert admin.post("/admin/hubs/new", data=PUNE).status_code == 303
    hub = db.session.scalars(select(Hub)).one()
    assert "Pune, India" in admin.get("/admin/hubs").text
    assert "No store maps this hub" in admin.get(f"/admin/hubs/{hub.id}").text
    admin.post(f"/admin/hubs/{hub.id}", data={**PUNE, "city": "Pimpri"})
    assert sentences()[-1] == "Asha changed the hub “Pune Warehouse”: city from “Pune” to “Pimpri”"
    assert "No hub fits these filters." in admin.get("/admin/hubs?q=zzz").text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"code": "pune"}, "Another hub of this workspace has this code."),
        ({"code": "NO SPACE"}, "Give a code of 1 to 20 letters"),
        ({"country_code": ""}, "Choose the country the hub is in."),
        ({"country_code": "XX"}, "Choose a country of the list."),
        ({"time_zone": "Mars/Olympus"}, "Choose a time zone of the list"),
        ({"name": ""}, "Give the hub&#39;s name"),
    ],
)
def test_a_hub_that_cannot_be_keeps_what_was_typed(admin, asha, changes, words):
    make_hub(asha.workspace, "PUNE")
    page = admin.post("/admin/hubs/new", data={**PUNE, "code": "NEW", "city": "Typed City", **changes})
    assert page.status_code == 422
    assert page.text.count(words) == 2
    assert "Typed City" in page.text


def test_switching_a_hub_off_names_its_stores_and_on_lets_orders_go(admin, asha):
    hub = make_hub(asha.workspace, "PUNE")
    store = make_store(make_seller(asha.workspace), name="Nova India")
    make_mapping(store, hub, "PNQ1")
    tell(store, "A", 240, seller_flex_hub_id="PNQ1")
    asked = admin.get(f"/admin/hubs/{hub.id}/deactivate").text
    assert "Nova India: 1 SKU (240 units) at PNQ1" in asked
    assert hub.is_active
    done = admin.get(admin.post(f"/admin/hubs/{hub.id}/deactivate").location).text
    assert "go On Hold" in done
    assert "goes on selling 1 SKU (240 units) at PNQ1 in Nova India." in done

    order = make_order(store, OrderState.ON_HOLD, seller_flex_hub_id="PNQ1")
    make_workable(hub, order)
    page = admin.get(admin.post(f"/admin/hubs/{hub.id}/reactivate").location).text
    assert "One order that waited for it is a New Order now." in page
    assert (order.state, order.hub_id) == (OrderState.NEW, hub.id)


@pytest.mark.parametrize("role", [Role.MERCHANT, Role.SUPPORT])
@pytest.mark.parametrize("path", ["/admin/users", "/admin/sellers/new", "/admin/hubs"])
def test_only_admins_come_in(asha, signed_in, role, path):
    browser = signed_in(make_user(asha.workspace, role))
    assert browser.get(path).status_code == 403
    assert "/admin/" not in browser.get("/account").text


@pytest.mark.parametrize(
    "path",
    [
        "/admin/users/{user}",
        "/admin/users/{user}/deactivate",
        "/admin/users/{user}/reset-password",
        "/admin/users/{user}/password",
        "/admin/sellers/{seller}",
        "/admin/sellers/{seller}/skus",
        "/admin/sellers/{seller}/rename",
        "/admin/sellers/{seller}/deactivate",
        "/admin/hubs/{hub}",
        "/admin/hubs/{hub}/deactivate",
    ],
)
def test_another_workspaces_pages_do_not_exist(admin, path):
    elsewhere = make_workspace()
    user, seller, hub = make_user(elsewhere), make_seller(elsewhere), make_hub(elsewhere)
    assert admin.get(path.format(user=user.id, seller=seller.id, hub=hub.id)).status_code == 404


def test_names_are_text_wherever_they_stand(admin, asha):
    user = make_user(asha.workspace, name=XSS)
    seller = make_seller(asha.workspace, XSS)
    make_sku(seller, "<svg onload=alert(1)>", XSS)
    hub = make_hub(asha.workspace, "X", XSS, city=XSS)
    paths = [f"/admin/{area}" for area in ("users", "sellers", "hubs", "users/new")]
    paths += [f"/admin/users/{user.id}", f"/admin/users/{user.id}/deactivate", f"/admin/users/{user.id}/reset-password"]
    paths += [f"/admin/sellers/{seller.id}/skus", f"/admin/sellers/{seller.id}/deactivate"]
    paths += [f"/admin/hubs/{hub.id}", f"/admin/hubs/{hub.id}/deactivate"]
    for path in paths:
        page = admin.get(path)
        assert page.status_code == 200
        assert "<svg onload" not in page.text, path


def test_the_number_of_queries_does_not_grow_with_the_list(admin, asha):
    def n_queries(path):
        statements = []

        def note(_connection, _cursor, statement, *_rest):
            statements.append(statement)

        event.listen(db.engine, "before_cursor_execute", note)
        assert admin.get(path).status_code == 200
        event.remove(db.engine, "before_cursor_execute", note)
        return len([statement for statement in statements if statement.startswith("SELECT")])

    def add(n):
        for _ in range(n):
            seller, hub = make_seller(asha.workspace), make_hub(asha.workspace)
            make_user(asha.workspace, sellers=[seller])
            make_mapping(make_store(seller), hub)

    add(2)
    paths = ("/admin/users", "/admin/sellers", "/admin/hubs")
    few = [n_queries(path) for path in paths]
    add(20)
    assert [n_queries(path) for path in paths] == few
