"""Numbers nobody can have as an id, and characters no text can hold: every address answers them in words, never 500."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flexdash.models import Role, User
from tests import factories
from tests.support.routes import all_routes

AS_LARGE_AS_THE_DATABASE_TAKES, TOO_LARGE = 2**31 - 1, 2**31
LOGIN_FIRST = "/amazon/login?amazon_callback_uri=https://sellercentral.amazon.in/x&amazon_state=x&selling_partner_id="


@pytest.fixture
def visitor(app: Flask, signed_in: Callable[[User], FlaskClient]) -> FlaskClient:
    workspace = factories.make_workspace()
    factories.make_run(factories.make_store(factories.make_seller(workspace)))
    return signed_in(factories.make_user(workspace, Role.ADMIN))


@pytest.mark.parametrize("number", [AS_LARGE_AS_THE_DATABASE_TAKES, TOO_LARGE, 10**30])
def test_an_id_that_nobody_can_have_is_not_found_on_any_page(app: Flask, visitor: FlaskClient, number: int) -> None:
    routes = [route for route in all_routes(app) if any(name.endswith("_id") for name in route.arguments)]
    assert len(routes) > 30
    answers = {
        (route.method, route.rule): visitor.open(
            route.path(dict.fromkeys(route.arguments, number)), method=route.method
        ).status_code
        for route in routes
    }
    assert {where: status for where, status in answers.items() if status not in {404, 405}} == {}


@pytest.mark.parametrize(
    ("address", "status"),
    [
        (f"/apps?seller={10**12}", 404),
        (f"/apps/amazon-seller-flex/new?seller={10**12}", 404),
        ("/apps?seller=²", 404),
        (f"/orders?q=FD-{10**12}", 200),
        (f"/orders?store={10**12}&hub={10**12}", 200),
        (f"/sync-runs?store={10**12}", 200),
        (f"/configuration-log?person={10**12}&store={10**12}", 200),
    ],
)
def test_such_a_number_in_a_query_finds_nothing(visitor: FlaskClient, address: str, status: int) -> None:
    assert visitor.get(address).status_code == status


@pytest.mark.parametrize("address", ["/orders?q=", "/sync-runs/1?q=", "/admin/users?q=", "/apps?q=", LOGIN_FIRST])
def test_a_nul_in_a_query_is_refused(visitor: FlaskClient, address: str) -> None:
    answer = visitor.get(f"{address}a%00b")
    assert (answer.status_code, "The request could not be read" in answer.text) == (400, True)


def test_a_nul_in_a_form_is_refused(app: Flask, visitor: FlaskClient) -> None:
    for address in ("/admin/sellers/new", "/stores/1/hubs", "/account/password"):
        assert visitor.post(address, data={"name": "Sun\0rise"}).status_code == 400
    assert app.test_client().post("/sign-in", data={"email": "asha\0@x.example", "password": "x"}).status_code == 400
