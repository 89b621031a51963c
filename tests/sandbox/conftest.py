"""A sandbox in its first state that throttles nobody, and a caller that holds a seller's token."""

from collections.abc import Iterator

import httpx
import pytest

from amazon_sandbox.serving import Running

SHIPMENTS = "/externalFulfillment/2024-09-11/shipments"


class Api:
    """The Selling Partner API as one seller's app calls it."""

    def __init__(self, sandbox: Running, seller_id: str = "A3SBXSUNRISEIN"):
        self.token = sandbox.control.issue_tokens(seller_id)["access_token"]
        self.http = httpx.Client(base_url=sandbox.url, trust_env=False, verify=False, timeout=60)

    def __call__(self, method: str, path: str, query=None, body=None, **more) -> httpx.Response:
        headers = {"x-amz-access-token": self.token}
        return self.http.request(method, path, params=query, json=body, headers=headers, **more)

    def page(self, status="ACCEPTED", **query) -> dict:
        """A page of shipments, decoded."""
        response = self("GET", SHIPMENTS, {"status": status, **query})
        assert response.status_code == 200, response.text
        return response.json()

    def walk(self, status="ACCEPTED", **query) -> list[list[str]]:
        """The ids on each page, to the end."""
        pages, token = [], None
        while token is not None or not pages:
            page = self.page(status, **query, **({"paginationToken": token} if token else {}))
            pages.append([shipment["id"] for shipment in page["shipments"]])
            token = page["pagination"].get("nextToken")
        return pages

    def ids(self, status="ACCEPTED", **query) -> list[str]:
        """The ids of all pages together."""
        return [shipment_id for page in self.walk(status, **query) for shipment_id in page]

    def confirm(self, shipment_id: str) -> httpx.Response:
        """processShipment CONFIRM."""
        return self("POST", f"{SHIPMENTS}/{shipment_id}", {"operation": "CONFIRM"})

    def get(self, shipment_id: str) -> dict:
        """One shipment, decoded."""
        return self("GET", f"{SHIPMENTS}/{shipment_id}").json()


@pytest.fixture
def sandbox(sandbox) -> Running:
    sandbox.control.plans({"*": None})
    return sandbox


@pytest.fixture
def api(sandbox) -> Iterator[Api]:
    api = Api(sandbox)
    yield api
    api.http.close()


@pytest.fixture
def api_of(sandbox):
    """Makes a caller for another seller."""
    return lambda seller_id: Api(sandbox, seller_id)


@pytest.fixture
def visitor(sandbox) -> Iterator[httpx.Client]:
    """A browser's cookies without its following of redirects."""
    with httpx.Client(base_url=sandbox.url, trust_env=False, verify=False) as client:
        yield client
