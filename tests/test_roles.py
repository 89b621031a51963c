"""Each role sees what it may, and nobody sees another workspace: every route, every role, proven by opening it."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flexdash.models import Role, User
from flexdash.services import sign_in
from flexdash.services.actors import ROLE_PERMISSIONS, Permission
from flexdash.services.order_work import saved_filters
from tests import factories
from tests.support.routes import Route, all_routes
from tests.support.statements import statements

# What the error page of a missing thing must never say: names out of the other workspace.
FOREIGN = "Foreign"


@dataclass
class World:
    """One workspace with one of everything; `ids` fill the arguments of any route."""

    people: dict[Role, User]
    ids: dict[str, int]


def make_world(name: str) -> World:
    workspace = factories.make_workspace(f"{name} Company")
    people = {role: factories.make_user(workspace, role, name=f"{name} {role}") for role in Role}
    other = factories.make_user(workspace, Role.MERCHANT, name=f"{name} Other")
    seller = factories.make_seller(workspace, f"{name} Seller")
    factories.make_sku(seller)
    hub = factories.make_hub(workspace, name=f"{name} Hub")
    store = factories.make_store(seller, name=f"{name} Store")
    mapping = factories.make_mapping(store, hub)
    order = factories.make_order(store, hub=hub)
    step = factories.make_step(order, "labels", "failed")
    document = factories.make_document(order)
    conflict = factories.make_conflict(order)
    batch = factories.make_batch(order, other)
    returned = factories.make_return(store, order=order, amazon_return_id=f"{name}Return")
    run = factories.make_run(store)
    call = factories.make_call(store, amazon_request_id=f"{name}Request")
    listing = factories.make_listing(store, name=f"{name} Listing")
    level = factories.make_stock(seller, hub, f"{name}StockSku")
    brake = factories.make_zero_brake(store)
    recovery = factories.make_recovery(store, asked_by_name=f"{name} Asker")
    difference = factories.make_difference(store, subject=f"{name}Difference")
    alarm = factories.make_alarm(store, sentence=f"{name} Store has no good run")
    factories.make_alarm_message(workspace, recipient=f"{name.lower()}-recipient@company.example")
    upload = factories.make_upload(store, file_name=f"{name}File.csv")
    event = factories.make_config_event(store, f"{name} Person turned a toggle on")
    return World(
        people,
        {
            "seller_id": seller.id,
            "hub_id": hub.id,
            "store_id": store.id,
            "mapping_id": mapping.id,
            "order_id": order.id,
            "step_id": step.id,
            "document_id": document.id,
            "conflict_id": conflict.id,
            "batch_id": batch.id,
            "filter_id": 10_000_000,
            "return_id": returned.id,
            "run_id": run.id,
            "call_id": call.id,
            "listing_id": listing.id,
            "level_id": level.id,
            "brake_id": brake.id,
            "recovery_id": recovery.id,
            "difference_id": difference.id,
            "upload_id": upload.id,
            "event_id": event.id,
            "alarm_id": alarm.id,
            "kind": "catalog",
            "user_id": other.id,
            "session_id": 10_000_000,
        },
    )


def words_of(answer: TestResponse) -> str:
    """Return what stands in an answer; of a ZIP, in all of its files."""
    if answer.mimetype != "application/zip":
        return answer.text
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        return "\n".join(archive.read(name).decode() for name in archive.namelist())


def permission_of(app: Flask, route: Route) -> object:
    return getattr(app.view_functions[route.endpoint], "access", "public")


def guarded_routes(app: Flask) -> list[Route]:
    return [route for route in all_routes(app) if isinstance(permission_of(app, route), Permission)]


@pytest.mark.parametrize("role", Role)
def test_each_role_opens_what_it_may_and_nothing_else(
    app: Flask, signed_in: Callable[[User], FlaskClient], role: Role
) -> None:
    world = make_world("Own")
    routes = guarded_routes(app)
    assert len(routes) > 30
    wrong = []
    client = signed_in(world.people[role])
    for route in routes:
        answer = client.open(route.path(world.ids), method=route.method)
        if (answer.location or "").startswith("/sign-in"):  # a request before this one has ended the session
            client = signed_in(world.people[role])
            answer = client.open(route.path(world.ids), method=route.method)
        is_allowed = permission_of(app, route) in ROLE_PERMISSIONS[role]
        if route.endpoint == "apps.callback" and not is_allowed:
            # Refused at an address without Amazon's code.
            answer = client.get(answer.location)
        status = answer.status_code
        is_missing = status == 404 and "reference" not in route.arguments  # a trip to Amazon is its traveller's alone
        if is_allowed == (status == 403) or status >= 500 or (is_allowed and is_missing):
            wrong.append((route.method, route.rule, status, "allowed" if is_allowed else "not allowed"))
    assert wrong == []


@pytest.mark.parametrize("role", Role)
def test_another_workspaces_ids_do_not_exist(app: Flask, signed_in: Callable[[User], FlaskClient], role: Role) -> None:
    own, foreign = make_world("Own"), make_world(FOREIGN)
    client = signed_in(own.people[role])
    leaks = []
    n_tried = 0
    for route in guarded_routes(app):
        if not route.arguments - {"kind"}:  # which is no id
            continue
        n_tried += 1
        response = client.open(route.path(foreign.ids), method=route.method)
        is_allowed = permission_of(app, route) in ROLE_PERMISSIONS[role]
        if response.status_code != (404 if is_allowed else 403) or FOREIGN in response.text:
            leaks.append((route.method, route.rule, response.status_code))
    assert n_tried > 15
    assert leaks == []


def test_no_list_shows_another_workspace(app: Flask, signed_in: Callable[[User], FlaskClient]) -> None:
    own, _ = make_world("Own"), make_world(FOREIGN)
    client = signed_in(own.people[Role.ADMIN])
    leaks = [
        route.rule
        for route in all_routes(app)
        if route.method == "GET" and FOREIGN in words_of(client.get(route.path(own.ids)))
    ]
    assert leaks == []


def test_a_merchant_limited_to_sellers_sees_only_theirs(app: Flask, signed_in: Callable[[User], FlaskClient]) -> None:
    world = make_world("Own")
    workspace = world.people[Role.ADMIN].workspace
    limited = factories.make_user(workspace, Role.MERCHANT, sellers=[factories.make_seller(workspace, "Theirs")])
    client = signed_in(limited)
    leaks = []
    for route in guarded_routes(app):
        of_a_seller = {
            "store_id",
            "order_id",
            "conflict_id",
            "batch_id",
            "return_id",
            "run_id",
            "call_id",
            "seller_id",
            "listing_id",
            "level_id",
            "upload_id",
            "event_id",
            "alarm_id",
        }
        if not of_a_seller & route.arguments:
            continue
        response = client.open(route.path(world.ids), method=route.method)
        is_allowed = permission_of(app, route) in ROLE_PERMISSIONS[Role.MERCHANT]
        if response.status_code != (404 if is_allowed else 403):
            leaks.append((route.method, route.rule, response.status_code))
    assert leaks == []
    assert "Own Store" not in client.get("/orders").text
    assert "Own Store" not in client.get("/alarms").text
    assert "OwnReturn" not in client.get("/returns").text
    assert "Own Store" not in client.get("/sync-runs").text
    assert "OwnRequest" not in client.get("/api-log").text
    assert "OwnStockSku" not in client.get("/stock").text
    assert "OwnStockSku" not in client.get("/stock/export.csv").text


def test_every_post_wants_the_csrf_token(app: Flask, signed_in: Callable[[User], FlaskClient]) -> None:
    world = make_world("Own")
    client = signed_in(world.people[Role.ADMIN])
    let_in = [
        route.rule
        for route in all_routes(app)
        if route.method == "POST" and client.post(route.path(world.ids), with_csrf_token=False).status_code != 400
    ]
    assert let_in == []


def test_head_does_nothing_that_is_asked_first(app: Flask, signed_in: Callable[[User], FlaskClient]) -> None:
    """Flask lets HEAD in wherever GET may go, and nobody asks it for a CSRF token."""
    world = make_world("Own")
    client = signed_in(admin := world.people[Role.ADMIN])
    sign_in.begin(admin.email, factories.PASSWORD)
    world.ids["session_id"] = max(row.id for row in sign_in.sessions_of(factories.make_actor(admin)))
    world.ids["filter_id"] = saved_filters.save(factories.make_actor(admin), "Pune", "tab=new").id
    routes = list(all_routes(app))
    asked_first = {route.rule: route for route in routes if route.method == "POST"}
    wrong = []
    for route in (route for route in routes if route.method == "GET" and route.rule in asked_first):
        path = route.path(world.ids)
        shown = client.get(path)
        with statements() as sent:
            answer = client.head(path)
        is_same = (answer.status_code, answer.location) == (shown.status_code, shown.location)
        writes = [sql for sql in sent if sql.startswith(("INSERT", "UPDATE", "DELETE"))]
        if writes or not is_same:
            wrong.append((route.rule, shown.status_code, answer.status_code, writes))
    assert len(asked_first) > 30
    assert wrong == []
