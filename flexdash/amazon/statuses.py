"""The one mapping from Amazon's shipment status to FlexDash's words, as data.

The guide's words *Confirmed* and *Accepted* are the reverse of the API's: what the guide calls Confirmed (to be
fetched) Amazon calls ACCEPTED, and what it calls Accepted (acknowledged) Amazon calls CONFIRMED. Pages show the
guide's word with Amazon's raw status beside it. See
https://developer-docs.amazon.com/sp-api/docs/retrieve-list-of-shipments and …/docs/process-shipment.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class StatusEntry:
    """One row of the mapping.

    `guide_word` is the user guide's word or "", `label` what a page shows (never empty), `order_state` the order state
    it leads to or None, `rank` its place in Amazon's order of things (a shipment never goes back; -1 when unknown).
    `is_new` means work that FlexDash has to take in, `needs_acknowledgement` that Amazon waits for our CONFIRM.
    `pull` says how a scheduled run asks for it: "all" (no time filter), "changed" (since the watermark) or "no".
    """

    status: str
    guide_word: str
    label: str
    order_state: str | None
    rank: int
    is_new: bool = False
    needs_acknowledgement: bool = False
    pull: Literal["all", "changed", "no"] = "no"
    meaning: str = ""


STATUS_TABLE: tuple[StatusEntry, ...] = (
    StatusEntry("CREATED", "", "Created", None, 0, meaning="Amazon has not assigned stock to it yet"),
    StatusEntry(
        "ACCEPTED",
        "Confirmed",
        "Confirmed",
        "New Order",
        1,
        is_new=True,
        needs_acknowledgement=True,
        pull="all",
        meaning="new work, waiting to be fetched and acknowledged",
    ),
    StatusEntry(
        "CONFIRMED",
        "Accepted",
        "Accepted",
        "New Order",
        2,
        pull="changed",
        meaning="acknowledged to Amazon",
    ),
    StatusEntry(
        "PACKAGE_CREATED", "", "Package created", "Picked", 3, pull="changed", meaning="packages are known to Amazon"
    ),
    StatusEntry(
        "PICKUP_SLOT_RETRIEVED",
        "",
        "Shipping options fetched",
        "Picked",
        4,
        pull="changed",
        meaning="Amazon offered shipping options",
    ),
    StatusEntry(
        "INVOICE_GENERATED", "", "Invoice generated", "Packed", 5, pull="changed", meaning="Amazon made the invoice"
    ),
    StatusEntry(
        "SHIPLABEL_GENERATED", "", "Label generated", "Packed", 6, pull="changed", meaning="Amazon made the labels"
    ),
    StatusEntry("SHIPPED", "", "Shipped", "Shipped", 7, pull="changed", meaning="handed to the carrier"),
    StatusEntry("DELIVERED", "", "Delivered", "Delivered", 8, pull="changed", meaning="with the buyer"),
    StatusEntry(
        "CANCELLED",
        "",
        "Cancelled",
        "Cancelled",
        9,
        pull="changed",
        meaning="cancelled by the seller, the buyer or Amazon",
    ),
)

UNKNOWN = StatusEntry("UNKNOWN", "", "Unknown to FlexDash", None, -1, meaning="a status FlexDash does not know")

STATUSES: dict[str, StatusEntry] = {entry.status: entry for entry in STATUS_TABLE}

PULLED_STATUSES: tuple[str, ...] = tuple(entry.status for entry in STATUS_TABLE if entry.pull != "no")


def lookup(status: str | None) -> StatusEntry:
    """Return the row for Amazon's `status`; UNKNOWN for one that Amazon invented since."""
    return STATUSES.get(status or "", UNKNOWN)


def words_of(status: str | None) -> str:
    """Return Amazon's status as pages show it: the word people know, and Amazon's own behind it."""
    return f"{lookup(status).label} ({status or 'no status'})"
