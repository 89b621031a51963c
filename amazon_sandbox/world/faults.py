"""Faults a person or test switches on: what goes wrong, for which operation, and how often."""

import itertools
import random
import threading
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Any

from amazon_sandbox.world import odd
from amazon_sandbox.world.database import Database

# Kind -> what happens, in words the control page shows.
KINDS: dict[str, str] = {
    "throttle": "Answers 429, as if the usage plan were used up",
    "error_400": "Answers 400, as if the call could not be taken",
    "error_500": "Answers 500",
    "error_503": "Answers 503",
    "html_instead_of_json": "Answers an HTML page where JSON belongs",
    "slow": "Waits before it answers (milliseconds)",
    "held": "Waits to answer until this is switched off, a minute at most",
    "cut": "Cuts the connection before doing anything",
    "cut_body": "Does the work, then cuts the connection in the middle of the answer",
    "drop_after_effect": "Does the work, then cuts the connection without an answer",
    "expired_token": "Says that the access token has expired",
    "revoked_token": "Says that the authorization was revoked (the token service too)",
    "access_denied": "Says that the app lacks the role",
    "names_buyer": "Refuses a call about a shipment, and quotes its buyer in the refusal",
    "invalid_client": "Token service: refuses the app's own credentials",
    "invalid_scope": "Token service: refuses the scope of the request",
    "vanished": "Knows a shipment no more: it is in no list, and every call about it is answered 404",
    "shown_late": "Shows a shipment by its id as it was before its last change",
    "empty_page": "Inserts an empty page into a listing",
    "repeated_page": "Gives a page of a listing twice",
    "stuck_token": "Gives back the same pagination token again and again",
    "odd_unknown_enum": "A shipment with an enum value the model does not have",
    "odd_unknown_status": "A shipment with an unknown status",
    "odd_unknown_field": "A shipment with new fields",
    "odd_missing_field": "A shipment without its location",
    "odd_date": "A shipment with odd date forms",
    "odd_broken_line": "A shipment with a line that has no SKU",
    "odd_no_lines": "A shipment whose lines are null",
    "odd_not_a_dict": "Text where a shipment belongs",
    "label_failure": "A package's label fails",
    "inventory_refused": "A line of an inventory batch is refused",
    "inventory_left_out": "Does a line of an inventory batch, and leaves it out of the answer",
    "shuffled_batch": "Answers an inventory batch in another order",
    "bare_listing": "Answers a listing without its attributes and offers",
    "listing_issue": "A listing has an issue that is an error",
    "offer_behind": "A listing's offers show the first price, whatever its attributes have",
    "price_refused": "Refuses a price: in a patch, or in a message of a feed",
    "price_ignored": "Accepts a price and never applies it",
    "feed_fatal": "A new feed ends as FATAL, without a report",
    "feed_stuck": "A new feed stays in the queue",
    "feed_cancelled": "A new feed ends as CANCELLED",
    "document_url_expired": "Gives an address of a feed document that has expired already",
    "odd_return_forms": "A return with an unknown status, odd dates and new fields",
    "odd_return_no_status": "A return without its status",
    "odd_return_no_id": "A return without its id",
    "odd_return_not_a_dict": "Text where a return belongs",
}
LISTING_KINDS = ("empty_page", "repeated_page", "stuck_token")
ODD_KINDS = odd.KINDS
HELD_SECONDS = 60  # a caller that is held and forgotten does not hold the program for ever
TOKEN_OPERATION = "token"  # noqa: S105 - the token service's name among the operations
# What goes on behind the addresses of feed documents; no operation of a model, and under no usage plan.
DOCUMENT_OPERATIONS = ("uploadFeedDocument", "downloadFeedDocument")


@dataclass(frozen=True)
class Fault:
    """One fault. It fires `n_left` more times (None: without end), each time with `probability`, after passing
    `skip` chances. `operation`, `seller_id`, `shipment_id`, `sku_code` and `page` (from 0) narrow where it applies:
    with a SKU, to calls about it, a batch that holds it among them."""

    id: int
    kind: str
    operation: str | None = None
    n_left: int | None = None
    probability: float = 1.0
    ms: int = 1000
    status: int = 200
    skip: int = 0
    seller_id: str | None = None
    shipment_id: str | None = None
    sku_code: str | None = None
    page: int | None = None

    @property
    def words(self) -> str:
        """What happens, for the control page."""
        return KINDS[self.kind]


class Faults:
    """The faults switched on, in the order they were set."""

    def __init__(self, database: Database):
        self._database = database
        self._lock = database.lock  # one lock for both, since each is taken while the other is held
        self._cleared = threading.Condition(self._lock)
        self._chance = random.Random()  # noqa: S311
        self._current = [Fault(**kept) for kept in database.get("faults", [])]
        self._ids = itertools.count(max((fault.id for fault in self._current), default=0) + 1)
        self._first_id = 0  # of the faults of this world

    def add(self, kind: str, **limits: Any) -> Fault:
        """Switches a fault on. ValueError for an unknown kind or a limit out of range."""
        if kind not in KINDS:
            raise ValueError(f"unknown fault {kind!r}; known are {', '.join(KINDS)}")
        fault = Fault(id=next(self._ids), kind=kind, **limits)
        if not 0 < fault.probability <= 1:
            raise ValueError("probability must be above 0 and at most 1")
        if fault.n_left is not None and fault.n_left < 1:
            raise ValueError("count must be 1 or more")
        if fault.kind == "held" and fault.n_left is not None:
            raise ValueError("held lasts until it is switched off: leave the count empty")
        with self._lock:
            self._current = [*self._current, fault]
            self._keep()
        return fault

    def clear(self, fault_id: int | None = None) -> None:
        """Switches one fault off, or all."""
        with self._lock:
            self._current = [f for f in self._current if fault_id is not None and f.id != fault_id]
            self._keep()
            self._cleared.notify_all()

    def wait_until_off(self, fault: Fault) -> bool:
        """Waits until the fault is switched off, or a minute; whether the world is still the one it was before."""
        with self._cleared:
            self._cleared.wait_for(lambda: all(other.id != fault.id for other in self._current), HELD_SECONDS)
            return fault.id >= self._first_id

    def reset(self) -> None:
        """Switches all off; what is held then is about a world that is gone."""
        with self._lock:
            self._first_id = next(self._ids)
            self.clear()

    def all(self) -> list[Fault]:
        """The faults still on."""
        return list(self._current)

    def as_json(self) -> list[dict[str, Any]]:
        """The faults still on, as control calls show them."""
        return [{**asdict(fault), "count": fault.n_left} for fault in self._current]

    def fires(
        self,
        kinds: tuple[str, ...],
        operation: str,
        *,
        seller_id: str | None = None,
        shipment_id: str | None = None,
        sku_codes: Collection[str] = (),
        page: int | None = None,
    ) -> Fault | None:
        """The first of these kinds of fault that strikes here and now; its count goes down by one. `sku_codes` are
        those that the call, or the part of it, is about."""
        if not self._current:
            return None
        with self._lock:
            for fault in self._current:
                if (
                    fault.kind in kinds
                    and fault.operation in (None, operation)
                    and fault.seller_id in (None, seller_id)
                    and fault.shipment_id in (None, shipment_id)
                    and (fault.sku_code is None or fault.sku_code in sku_codes)
                    and fault.page in (None, page)
                    and self._strikes(fault)
                ):
                    return fault
        return None

    def _strikes(self, fault: Fault) -> bool:
        if fault.probability < 1 and self._chance.random() >= fault.probability:
            return False
        if fault.skip:
            self._replace(fault, replace(fault, skip=fault.skip - 1))
            return False
        if fault.n_left is not None:
            self._replace(fault, replace(fault, n_left=fault.n_left - 1))
        return True

    def _replace(self, old: Fault, new: Fault) -> None:
        self._current = [new if f is old else f for f in self._current]
        self._current = [f for f in self._current if f.n_left != 0]
        self._keep()

    def _keep(self) -> None:
        self._database.put("faults", [asdict(fault) for fault in self._current])
