"""What is kept of a request and of a refusal, for those who look into it later: its shape, and what gives nobody away.

Values are kept under names that are known to be harmless. Everything else becomes "[hidden]", whatever it is: an answer
of Amazon's may hold a buyer's address at any place, and nobody can list all the names it might stand under.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from flexdash.amazon.records import redacted, without_secrets
from flexdash.amazon.wire import Reply

MAX_LENGTH = 2_000
MAX_TEXT = 200  # of what is no JSON
HIDDEN = "[hidden]"
_MAX_VALUE = 500
_MAX_MEMBERS = 20
_MAX_DEPTH = 8
_MEASURE = re.compile(r"[0-9.]{1,8}")
_IN_XML = re.compile(r"<(?:Code|Message)>([^<]*)</")
_NAME = re.compile(r"[a-z][A-Za-z_]{0,40}")  # as the models write them; a person's begins otherwise
_TELEPHONE = re.compile(r"\d{10,13}")
_NEVER_A_TELEPHONE = frozenset({"feedId", "submissionId"})  # Amazon's own numbers
# Codes, ids, states, times and measures: kept as they are. What holds others (`errors`, `attributes`, …) is not among
# them: a bare value in its place is nobody knows what.
_FACTS = frozenset(
    {
        "amount",
        "attributeName",
        "attributeNames",
        "audience",
        "categories",
        "channelName",
        "clientSequenceNumber",
        "code",
        "contentType",
        "createdAfter",
        "createdBefore",
        "createdSince",
        "createdUntil",
        "currency",
        "dimensionUnit",
        "errorSubType",
        "errorType",
        "feedDocumentId",
        "feedId",
        "feedType",
        "height",
        "id",
        "includedData",
        "inputFeedDocumentId",
        "lastUpdatedAfter",
        "lastUpdatedBefore",
        "lastUpdatedSince",
        "lastUpdatedUntil",
        "length",
        "lineItem",
        "locationId",
        "marketplace_id",
        "marketplaceId",
        "marketplaceIds",
        "maxResults",
        "method",
        "mode",
        "op",
        "operation",
        "packageId",
        "packageIds",
        "path",
        "processingStatus",
        "productType",
        "quantity",
        "reason",
        "referenceId",
        "reservedQuantity",
        "resultFeedDocumentId",
        "returnLocationId",
        "sellableQuantity",
        "severity",
        "shipmentId",
        "shippingOptionId",
        "sku",
        "skuId",
        "status",
        "statusCode",
        "submissionId",
        "subStatus",
        "uri",
        "value",
        "value_with_tax",
        "weight",
        "weightUnit",
        "width",
    }
)
# What Amazon says in words: kept without what looks like a secret, an e-mail address or a telephone number.
_WORDS = frozenset({"message", "Message", "details", "reasonPhrase"})


def of_request(query: Iterable[tuple[str, str]], body: Any) -> str:
    """Return what was sent, query and body, on one line; "" when nothing was."""
    parts = [f"{name}={_shown(value, name)}" for name, value in query]
    said = " ".join(parts)
    if body:
        said = f"{said} {_line(_shown(body, 'body'))}".strip()
    return _cut(said)


def of_answer(reply: Reply, data: Any, *, is_about_shipment: bool = False) -> str:
    """Return what Amazon answered to a request that went wrong, on one line; "" when it answered nothing.

    `data` is the answer as JSON, or None. Of an answer that broke off, that is JSON in part, or that is none and about
    one shipment, only the length is told: its buyer may stand in it.
    """
    if isinstance(data, dict | list):
        return _cut(_line(_shown(data, "body")))
    if not reply.body:
        return ""
    begins = reply.body[:200].lstrip()[:1]
    is_broken = reply.failure or reply.status is None or reply.status < 400 or begins in (b"{", b"[", b'"')
    if is_broken or is_about_shipment:
        return f"{len(reply.body):,} bytes that could not be read"
    said = reply.body[: 4 * _MAX_VALUE].decode("utf-8", "replace")
    if found := _IN_XML.findall(said):  # of Amazon's document storage, which tells keys and signatures besides
        said = " · ".join(found)
    return redacted(said, MAX_TEXT)


def _shown(value: Any, name: str, depth: int = 0) -> Any:
    if depth > _MAX_DEPTH:
        return HIDDEN
    if isinstance(value, dict):
        members = list(value.items())[:_MAX_MEMBERS]
        shown = {_name(key): _shown(member, str(key), depth + 1) for key, member in members}
        return shown | ({"…": f"{len(value) - _MAX_MEMBERS} more"} if len(value) > _MAX_MEMBERS else {})
    if isinstance(value, list | tuple):
        shown = [_shown(member, name, depth + 1) for member in value[:_MAX_MEMBERS]]
        return [*shown, f"… {len(value) - _MAX_MEMBERS} more"] if len(value) > _MAX_MEMBERS else shown
    if value is None or isinstance(value, bool):
        return value
    if name in _WORDS:
        return redacted(str(value), _MAX_VALUE)
    if name not in _FACTS:
        return HIDDEN
    text = str(value)
    if name == "value" and not _MEASURE.fullmatch(text):
        return HIDDEN  # of anything
    if _TELEPHONE.fullmatch(text) and name not in _NEVER_A_TELEPHONE:
        return HIDDEN
    if isinstance(value, int | float):
        return value
    if "@" in text or any(character.isspace() for character in text):
        return HIDDEN  # a code, an id, a state, a time or a measure has no blanks: these are words, and maybe a buyer's
    return without_secrets(text, _MAX_VALUE)


def _name(key: Any) -> str:
    is_known = isinstance(key, str) and (_NAME.fullmatch(key) or key in _WORDS)
    return key if is_known else HIDDEN


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_LENGTH else text[: MAX_LENGTH - 1] + "…"
