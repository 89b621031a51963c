"""Amazon's 15 statuses of a return and what people call them, as data.

The statuses are those of Amazon's model of the Returns API, version 2024-09-11. Pages show the raw status beside the
word.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["info", "good", "warn", "quiet"]


@dataclass(frozen=True, slots=True)
class ReturnStatus:
    """One row: `label` is what a page shows, `kind` its colour, `meaning` Amazon's meaning in a sentence.

    `is_over` says that Amazon expects nothing more to happen.
    """

    status: str
    label: str
    kind: Kind
    meaning: str
    is_over: bool = False


RETURN_STATUS_TABLE: tuple[ReturnStatus, ...] = (
    ReturnStatus("CREATED", "Created", "info", "It waits to be picked up from the buyer."),
    ReturnStatus(
        "CARRIER_NOTIFIED_TO_PICK_UP_FROM_CUSTOMER",
        "Pickup asked for",
        "info",
        "The carrier was told to pick it up from the buyer.",
    ),
    ReturnStatus(
        "CARRIER_OUT_FOR_PICK_UP_FROM_CUSTOMER",
        "Out for pickup",
        "info",
        "The carrier is on the way to the buyer.",
    ),
    ReturnStatus("CUSTOMER_CANCELLED_PICK_UP", "Pickup cancelled", "warn", "The buyer cancelled the pickup."),
    ReturnStatus("CUSTOMER_RESCHEDULED_PICK_UP", "Pickup moved", "warn", "The buyer moved the pickup to another time."),
    ReturnStatus("PICKED_FROM_CUSTOMER", "Picked up", "info", "The carrier has it from the buyer."),
    ReturnStatus("CUSTOMER_DROPPED_OFF", "Dropped off", "info", "The buyer handed it in at a drop-off point."),
    ReturnStatus("IN_TRANSIT", "In transit", "info", "It is on its way to the location."),
    ReturnStatus("OUT_FOR_DELIVERY", "Out for delivery", "info", "It is out for delivery to the location."),
    ReturnStatus("REPLANNED", "Delivery replanned", "warn", "The delivery to the location was planned anew."),
    ReturnStatus("DELIVERED", "Delivered", "good", "It is at the location."),
    ReturnStatus("PARTIALLY_PROCESSED", "Partly processed", "warn", "Some of its units are processed."),
    ReturnStatus("PROCESSED", "Processed", "good", "All of its units are processed.", is_over=True),
    ReturnStatus("REJECTED", "Rejected", "warn", "The return was rejected.", is_over=True),
    ReturnStatus("CANCELLED", "Cancelled", "quiet", "The return was cancelled.", is_over=True),
)

RETURN_STATUSES: dict[str, ReturnStatus] = {entry.status: entry for entry in RETURN_STATUS_TABLE}

# What else Amazon's model lists, with the words of a page.
RETURN_TYPES = {"CUSTOMER": "Customer return", "REJECT": "Rejected return"}
RETURN_SUB_TYPES = {"NORMAL": "Standard", "REPLACEMENT": "Replacement", "EXCHANGE": "Exchange"}
DELIVERY_MODES = {"WITH_OTP": "With a one-time password", "WITHOUT_OTP": "Without a one-time password"}


def lookup_return(status: str) -> ReturnStatus:
    """Return the row for Amazon's `status`; one that Amazon invented since gets a row made of its own word."""
    known = RETURN_STATUSES.get(status)
    if known is not None:
        return known
    return ReturnStatus(status, in_words(status), "quiet", "FlexDash does not know this status; the word is Amazon's.")


def in_words(word: str) -> str:
    """Return one of Amazon's words as people read it: "OUT_FOR_DRONE" becomes "Out for drone"."""
    return word.replace("_", " ").strip().capitalize()
