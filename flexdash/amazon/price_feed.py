"""The content of a feed of prices, and the report that comes back.

A message changes one price by `merge`, which keeps all that it does not name; see docs/adr/0008. Form of both files:
https://developer-docs.amazon.com/sp-api/docs/listings-feed-message-schema-v2 and
https://developer-docs.amazon.com/sp-api/docs/feeds-api-v2021-06-30-use-case-guide
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from flexdash.amazon import lenient, offers, strict
from flexdash.amazon.errors import InvalidArgument, UnreadableAnswer
from flexdash.amazon.listings import ANY_PRODUCT_TYPE, Issue, patch, read_issue

MAX_MESSAGES = 25_000
MAX_BYTES = 10 * 1024 * 1024 - 1024  # below Amazon's ten mebibytes, with room for the frame
_MAX_MESSAGE_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class PriceMessage:
    """A price to set. `id` is the caller's, unique in the feed; the report names it."""

    id: int
    sku_code: str
    price: Decimal


@dataclass(frozen=True, slots=True)
class PriceFeedContent:
    """A feed ready to be uploaded: the messages that are in it, and those that Amazon's rules keep out, with why.

    A message in neither found no room, and is for the next feed.
    """

    content: bytes = field(repr=False)
    ids: list[int] = field(repr=False)
    refused: list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Report:
    """What Amazon says of a feed. Counts are None where it gave none; `general` is about the feed as a whole."""

    n_accepted: int | None
    n_invalid: int | None
    issues: dict[int, list[Issue]] = field(repr=False)
    general: list[Issue]


def build(
    partner_id: str, marketplace_id: str, currency: str, messages: Iterable[PriceMessage], *, max_bytes: int = MAX_BYTES
) -> PriceFeedContent:
    """Return the feed of as many of `messages`, in their order, as one feed may hold."""
    header = {"sellerId": strict.text("partner_id", partner_id), "version": "2.0"}
    parts: list[bytes] = []
    ids: list[int] = []
    refused: list[tuple[int, str]] = []
    n_bytes = 0
    for message in messages:
        if len(ids) == MAX_MESSAGES:
            break
        try:
            part = _packed(_message(message, marketplace_id, currency))
        except InvalidArgument as error:
            refused.append((message.id, error.message))
            continue
        n_bytes += len(part) + 1
        if n_bytes > max_bytes:
            break
        parts.append(part)
        ids.append(message.id)
    content = b'{"header":%b,"messages":[%b]}' % (_packed(header), b",".join(parts))
    return PriceFeedContent(content, ids, refused)


def read_report(content: bytes) -> Report:
    """Read a feed's report; raise UnreadableAnswer when it is none. A line that cannot be read is left out."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UnreadableAnswer("the feed's report is not JSON") from error
    if not isinstance(data, dict) or not (
        isinstance(data.get("summary"), dict) or isinstance(data.get("issues"), list)
    ):
        raise UnreadableAnswer("the feed's report has neither a summary nor issues")
    summary = lenient.members(data.get("summary"))
    issues: defaultdict[int, list[Issue]] = defaultdict(list)
    general = []
    for raw in lenient.items(data.get("issues")):
        if not isinstance(raw, dict):
            continue
        message_id = lenient.count(raw.get("messageId"))
        (issues[message_id] if message_id else general).append(read_issue(raw))
    return Report(
        n_accepted=lenient.count(summary.get("messagesAccepted")),
        n_invalid=lenient.count(summary.get("messagesInvalid")),
        issues=dict(issues),
        general=general,
    )


def _message(message: PriceMessage, marketplace_id: str, currency: str) -> dict[str, Any]:
    return {
        "messageId": strict.whole("id", message.id, 1, _MAX_MESSAGE_ID),
        "sku": strict.text("sku_code", message.sku_code),
        "operationType": "PATCH",
        "productType": ANY_PRODUCT_TYPE,
        "patches": [patch([offers.new_offer(marketplace_id, currency, message.price)], "merge")],
    }


def _packed(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
