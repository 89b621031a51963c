"""What an answer of the Selling Partner API means: success, or which error.

Amazon sends `{"errors": [{"code", "message", "details"}]}`, its gateways also `{"message"}` or HTML. Codes:
https://developer-docs.amazon.com/sp-api/docs/external-fulfillment-errors
"""

from collections.abc import Callable
from typing import Any

from flexdash.amazon.errors import (
    AccessDenied,
    AmazonError,
    AmazonUnavailable,
    AuthorizationRefused,
    NotFound,
    RequestRefused,
    StateConflict,
    Throttled,
    UnreadableAnswer,
)
from flexdash.amazon.lenient import text
from flexdash.amazon.operations import Operation
from flexdash.amazon.records import redacted
from flexdash.amazon.wire import NOT_SENT, Reply, retry_after

_BY_STATUS: dict[int, tuple[type[AmazonError], str]] = {
    400: (RequestRefused, "Amazon refused the request"),
    404: (NotFound, "Amazon does not know this resource"),
    409: (StateConflict, "Amazon has this in another state by now"),
    413: (RequestRefused, "the request is too large for Amazon"),
    415: (RequestRefused, "Amazon does not take this form of request"),
    422: (RequestRefused, "Amazon understood the request and cannot do it"),
}
_MAX_CODE = 64


def first_error(data: Any) -> tuple[str, str, str]:
    """Return (code, message, details) of the first error in an answer, each "" when it is not there."""
    if not isinstance(data, dict):
        return "", "", ""
    errors = data.get("errors")
    found = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else data
    return (
        redacted(text(found.get("code")), _MAX_CODE),
        redacted(text(found.get("message"), 1000) or text(found.get("Message"), 1000)),
        redacted(text(found.get("details"), 1000)),
    )


def is_token_refusal(reply: Reply, data: Any) -> bool:
    """Whether Amazon refused the access token, or may have.

    Amazon answers 403 with code Unauthorized both for a token that is expired or revoked (the details then name the
    access token) and for a role the app lacks (the details are then empty). Both are worth one fresh token: a role that
    was just granted is in the next token only.
    """
    if reply.failure or reply.status not in (401, 403):
        return False
    code, message, details = first_error(data)
    return reply.status == 401 or _names_token(code, message, details) or (code == "Unauthorized" and not details)


def error_of(
    operation: Operation, reply: Reply, data: Any, *, expects_json: bool, is_last_token: bool
) -> AmazonError | None:
    """Return the error that `reply` stands for, or None for a success.

    `is_last_token` says that the access token was renewed just before: refused again, it is the authorization that is
    gone.
    """
    facts: dict[str, Any] = {
        "status": reply.status,
        "request_id": reply.request_id,
        "operation": operation.name,
        "is_outcome_unknown": not operation.is_read and reply.failure not in NOT_SENT,
    }
    if reply.failure in ("too_long", "unreadable"):
        return UnreadableAnswer(f"Amazon's answer cannot be read: {reply.failure_text}", **facts)
    if reply.failure or reply.status is None:
        return AmazonUnavailable(f"Amazon could not be reached: {reply.failure_text}", **facts)
    status = reply.status
    if 200 <= status < 300:
        if expects_json and not isinstance(data, dict):
            return UnreadableAnswer("Amazon's answer is not the JSON object it should be", **facts)
        if data is None and reply.body.strip() not in (b"", b"null"):
            # A page of somebody in between, such as a proxy: whether Amazon heard the request is not said.
            return UnreadableAnswer("The answer is a page, not Amazon's", **facts)
        return None
    if 300 <= status < 400 or status < 200:
        return UnreadableAnswer("Amazon sent the request elsewhere, which is never followed", **facts)

    code, message, details = first_error(data)
    facts["code"] = code
    said = ": ".join(part for part in (message, details) if part)
    said = f": {said}" if said else ""
    if status >= 500:
        return AmazonUnavailable(f"Amazon has a fault of its own{said}", **facts)
    facts["is_outcome_unknown"] = False
    if status == 429:
        return Throttled(
            f"Amazon's usage plan is used up{said}", retry_after_seconds=retry_after(reply.headers), **facts
        )
    if status == 401 or (status == 403 and _names_token(code, message, details)):
        again = " again, with a fresh token" if is_last_token else ""
        return AuthorizationRefused(f"Amazon refused the seller's access token{again}{said}", **facts)
    if status == 403:
        return AccessDenied(f"Amazon does not let FlexDash do this for the seller{said}", **facts)
    kind, words = _BY_STATUS.get(status, (RequestRefused, "Amazon refused the request"))
    return kind(f"{words}{said}", **facts)


def _names_token(code: str, message: str, details: str) -> bool:
    words = f"{code} {message} {details}".casefold()
    return "access token" in words or "security token" in words or "invalidaccesstoken" in words


def refused_within(data: Any) -> list[dict[str, Any]]:
    """Return what an answer that is a success as a whole says it did not do, as Amazon sent it.

    Labels are the only answer of such a kind that is about one shipment: each package has a result of its own. A batch
    of quantities is about many SKUs, and each line's answer is kept with the SKU.
    """
    labels = data.get("packageShipLabelList") if isinstance(data, dict) else None
    failed = [label for label in labels if isinstance(label, dict)] if isinstance(labels, list) else []
    told = ("packageId", "status", "errorDetails")
    return [{name: one[name] for name in told if name in one} for one in failed if one.get("status") == "FAILURE"]


def first_refusal(refusals: list[dict[str, Any]]) -> tuple[str, str]:
    """Return (code, message) of the first of what `refused_within` returned, each "" when it is not there."""
    details = next((one["errorDetails"] for one in refusals if isinstance(one.get("errorDetails"), dict)), {})
    code, message, _ = first_error(details)
    return code, message or "Amazon did not do it, and gave no reason"


def mask_refusals(refusals: list[dict[str, Any]], mask: Callable[[str], str]) -> None:
    """Put the words of what `refused_within` returned through `mask`, in the answer itself as well."""
    for one in refusals:
        if isinstance(details := one.get("errorDetails"), dict):
            details.update({name: mask(said) for name, said in details.items() if isinstance(said, str)})
