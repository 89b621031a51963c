"""Each role sees what it may, and nobody sees another workspace: every route, every role, proven by opening it."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flexdash.models import Role, User
from flexdash.services.actors import ROLE_PERMISSIONS, Permission
from tests import factories
from tests.support.routes import Route, all_routes

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
    run = factories.make_run(store)
    return World(
        people,
        {
            "seller_id": seller.id,
            "hub_id": hub.id,
            "store_id": store.id,
            "mapping_id": mapping.id,
            "order_id": order.id,
            "run_id": run.id,
            "user_id": other.id,
            "session_id": 10_000_000,
        },
    )


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
    for route in routes:
        client = signed_in(world.people[role])
        status = client.open(route.path(world.ids), method=route.method).status_code
        is_allowed = permission_of(app, route) in ROLE_PERMISSIONS[role]
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
        if not route.arguments:
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
        if route.method == "GET" and FOREIGN in client.get(route.path(own.ids)).text
    ]
    assert leaks == []


def test_a_merchant_limited_to_sellers_sees_only_theirs(app: Flask, signed_in: Callable[[User], FlaskClient]) -> None:
    world = make_world("Own")
    workspace = world.people[Role.ADMIN].workspace
    limited = factories.make_user(workspace, Role.MERCHANT, sellers=[factories.make_seller(workspace, "Theirs")])
    client = signed_in(limited)
    leaks = []
    for route in guarded_routes(app):
        if not {"store_id", "order_id", "run_id", "seller_id"} & route.arguments:
            continue
        response = client.open(route.path(world.ids), method=route.method)
        is_allowed = permission_of(app, route) in ROLE_PERMISSIONS[Role.MERCHANT]
        if response.status_code != (404 if is_allowed else 403):
            leaks.append((route.method, route.rule, response.status_code))
    assert leaks == []
    assert "Own Store" not in client.get("/orders").text
    assert "Own Store" not in client.get("/sync-runs").text


def test_every_post_wants_the_csrf_token(app: Flask, signed_in: Callable[[User], FlaskClient]) -> None:
    world = make_world("Own")
    client = signed_in(world.people[Role.ADMIN])
    let_in = [
        route.rule
        for route in all_routes(app)
        if route.method == "POST" and client.post(route.path(world.ids), with_csrf_token=False).status_code != 400
    ]
    assert let_in == []
