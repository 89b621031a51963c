"""Stock per seller, location, SKU and channel, as the batchInventory operation keeps and answers it.

The sandbox knows every SKU that is listed; a code that begins with `NO-WEIGHT-` is taken with an actionable error
beside it. Amazon does not say how an older sequence number is refused; here the line
has status 409, the error INVALID_CLIENT_SEQUENCE_NUMBER, and the number that stands.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from amazon_sandbox.world import accounts
from amazon_sandbox.world.accounts import Account
from amazon_sandbox.world.database import Database
from amazon_sandbox.world.errors import ApiError, invalid_input
from amazon_sandbox.world.faults import Faults
from amazon_sandbox.world.listings import Listings
from amazon_sandbox.world.options import Options
from amazon_sandbox.world.shelf import Shelf

MAX_BATCH = 10
MAX_UNITS = 2**31 - 1
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 409: "Conflict"}
CHANNELS = ("FBA", "MFN", "DF")
Place = tuple[str, str, str, str]  # seller, location, SKU, channel


@dataclass(frozen=True)
class Refusal(Exception):
    """One line is not taken: its status and what the seller must mend."""

    status: int
    error_type: str
    error_sub_type: str = ""


class Inventory:
    """The stock last published, in memory and in the database."""

    def __init__(self, database: Database, shelf: Shelf, faults: Faults, options: Options, listings: Listings):
        self._database, self._shelf, self._faults, self._options = database, shelf, faults, options
        self._listings = listings
        self.load()

    def load(self) -> None:
        """Reads everything from the database anew."""
        rows = self._database.rows("select * from stock")
        self._stock: dict[Place, tuple[int, int]] = {tuple(row[:4]): (row[4], row[5]) for row in rows}

    def batch(self, seller_id: str, body: Any) -> dict[str, Any]:
        """The answers to up to ten lines. ApiError 400 when the body as a whole is not a batch."""
        requests = body.get("requests") if isinstance(body, dict) else None
        if not isinstance(requests, list) or not requests:
            raise invalid_input("requests must be a list of 1 to 10 entries.")
        if len(requests) > MAX_BATCH:
            raise ApiError(400, "BATCH_SIZE_EXCEED", "Batch size exceeds the limit.", f"At most {MAX_BATCH} requests.")
        for request in requests:
            _check_types(request)
        with self._database.transaction() as connection:
            answers = [self._answer(connection, seller_id, request) for request in requests]
            answers = [answer for answer in answers if not self._is_left_out(seller_id, answer)]
        if self._faults.fires(("shuffled_batch",), "batchInventory", seller_id=seller_id):
            answers.reverse()
        return {"responses": answers}

    def set(self, account: Account, location_id: str, sku_code: str, n_units: int) -> None:
        """Changes what is to be sold at once, as the seller would in Seller Central; the sequence number stays.
        KeyError for a SKU that is not listed, ValueError for a location that is not the seller's."""
        if location_id not in account.location_ids:
            raise ValueError(f"location_id must be one of {', '.join(account.location_ids)}")
        if not self._listings.is_listed(account.selling_partner_id, sku_code):
            raise KeyError(sku_code)
        place = (account.selling_partner_id, location_id, sku_code, CHANNELS[0])
        with self._database.transaction() as connection:
            self._keep(connection, place, n_units, self._stock.get(place, (0, 0))[1])

    def forget(self, account: Account, sku_code: str) -> None:
        """Lets go of the stock of a SKU whose listing is taken away."""
        seller_id = account.selling_partner_id
        with self._database.transaction() as connection:
            connection.execute("delete from stock where seller_id = ? and sku_code = ?", (seller_id, sku_code))
            for place in [place for place in self._stock if place[0] == seller_id and place[2] == sku_code]:
                del self._stock[place]

    def all(self, seller_id: str | None = None) -> list[dict[str, Any]]:
        """Every published quantity (of one seller), for control calls."""
        with self._database.lock:
            return [
                dict(zip(("seller_id", "location_id", "sku_code", "channel_name"), place, strict=True))
                | {"n_units": n_units, "sequence_number": number}
                for place, (n_units, number) in self._stock.items()
                if seller_id in (None, place[0])
            ]

    def _answer(self, connection: Any, seller_id: str, request: dict[str, Any]) -> dict[str, Any]:
        target = urlsplit(request["uri"])
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        place_of = {"locationId": query.get("locationId", ""), "skuId": query.get("skuId", "")}
        asked = request.get("body") or {}
        attributes = asked.get("marketplaceAttributes") or {}
        place = (seller_id, place_of["locationId"], place_of["skuId"], attributes.get("channelName", "FBA"))
        body: dict[str, Any] = {key: value for key, value in place_of.items() if value}
        status, problems = 200, []
        try:
            self._check_line(request, target.path, place, attributes)
            if target.path == "/inventory/update":
                self._update(connection, place, asked)
            if place[2].startswith("NO-WEIGHT-"):
                problems = [_error("PRODUCT_ATTRIBUTE_VALIDATION_FAILURE", "MISSING_WEIGHT")]
        except Refusal as refusal:
            status, problems = refusal.status, [_error(refusal.error_type, refusal.error_sub_type)]
        if place in self._stock:
            n_units, number = self._stock[place]
            body |= {"sellableQuantity": n_units, "clientSequenceNumber": number}
            body["reservedQuantity"] = self._shelf.n_reserved(*place[:3])
        elif status == 200:
            body |= {"sellableQuantity": 0, "reservedQuantity": self._shelf.n_reserved(*place[:3])}
        if attributes:
            body["marketplaceAttributes"] = attributes
        body["actionableErrors"] = problems
        return {"status": {"statusCode": status, "reasonPhrase": REASONS[status]}, "body": body}

    def _check_line(self, request: dict[str, Any], path: str, place: Place, attributes: dict[str, Any]) -> None:
        seller_id, location_id, sku_code, _ = place
        if path not in ("/inventory/update", "/inventory/fetch"):
            raise Refusal(404, "INVALID_URI")
        if request["method"] != "POST":
            raise Refusal(400, "INVALID_METHOD")
        account = accounts.BY_ID[seller_id]
        if location_id not in account.location_ids:
            raise Refusal(400, "INVALID_LOCATION")
        if attributes.get("marketplaceId", account.marketplace.id) != account.marketplace.id:
            raise Refusal(400, "INVALID_MARKETPLACE")
        if not self._listings.is_listed(seller_id, sku_code):
            raise Refusal(400, "INVALID_SKU")
        if self._faults.fires(("inventory_refused",), "batchInventory", seller_id=seller_id, sku_codes=(sku_code,)):
            raise Refusal(400, "INVENTORY_UPDATE_FAILURE", "SANDBOX_FAULT")

    def _update(self, connection: Any, place: Place, asked: dict[str, Any]) -> None:
        quantity = asked.get("quantity")
        if quantity is None or not 0 <= quantity <= MAX_UNITS:
            raise Refusal(400, "INVALID_QUANTITY")
        kept = self._stock.get(place)
        number = asked.get("clientSequenceNumber")
        if number is None:
            number = kept[1] + 1 if kept else 1
        elif kept and not self._is_number_good(number, quantity, kept):
            raise Refusal(409, "INVALID_CLIENT_SEQUENCE_NUMBER")
        elif self._options.inventory_sequence == "echo":
            number += 1
        self._keep(connection, place, quantity, number)

    def _keep(self, connection: Any, place: Place, quantity: int, number: int) -> None:
        self._stock[place] = (quantity, number)
        connection.execute("insert or replace into stock values (?, ?, ?, ?, ?, ?)", (*place, quantity, number))

    def _is_left_out(self, seller_id: str, answer: dict[str, Any]) -> bool:
        sku_codes = (answer["body"].get("skuId", ""),)
        return bool(
            self._faults.fires(("inventory_left_out",), "batchInventory", seller_id=seller_id, sku_codes=sku_codes)
        )

    def _is_number_good(self, number: int, quantity: int, kept: tuple[int, int]) -> bool:
        if self._options.inventory_sequence == "echo":
            return number == kept[1]
        return number > kept[1] or (quantity, number) == kept


def sku_codes_in(body: Any) -> frozenset[str]:
    """The SKUs of a batch's lines, as far as it is a batch."""
    requests = body.get("requests") if isinstance(body, dict) else None
    uris = [request.get("uri") for request in requests or () if isinstance(request, dict)]
    queries = [parse_qs(urlsplit(uri).query) for uri in uris if isinstance(uri, str)]
    return frozenset(sku_code for query in queries for sku_code in query.get("skuId", ())[:1])


def _error(error_type: str, error_sub_type: str) -> dict[str, str]:
    return {"errorType": error_type} | ({"errorSubType": error_sub_type} if error_sub_type else {})


def _check_types(request: Any) -> None:
    """ApiError 400 for what the model itself forbids, wherever it stands in the batch."""
    if not isinstance(request, dict) or not isinstance(request.get("uri"), str):
        raise invalid_input("Each request needs a uri.")
    if request.get("method") not in ("GET", "POST"):
        raise invalid_input("method must be GET or POST.")
    body = request.get("body", {})
    attributes = body.get("marketplaceAttributes", {}) if isinstance(body, dict) else None
    if not isinstance(attributes, dict):
        raise invalid_input("body and marketplaceAttributes must be objects.")
    for name in ("quantity", "clientSequenceNumber"):
        if name in body and (not isinstance(body[name], int) or isinstance(body[name], bool)):
            raise invalid_input(f"{name} must be a whole number.")
    if attributes.get("channelName", "FBA") not in CHANNELS:
        raise invalid_input(f"channelName must be one of {', '.join(CHANNELS)}.")
