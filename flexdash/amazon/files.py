"""Fetching a file that Amazon made, such as a label, from the short-lived address in its answer.

The address opens the file for whoever has it: it is fetched at once, without the seller's token, and never logged.
"""

from dataclasses import dataclass, field

import httpx

from flexdash.amazon.addresses import trusted
from flexdash.amazon.errors import AmazonUnavailable, UnreadableAnswer, UntrustedAddress
from flexdash.amazon.http_pool import shared_pool
from flexdash.amazon.wire import send

MAX_FILE_BYTES = 10 * 1024 * 1024
_OPERATION = "fetchFile"


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file with its media type, in small letters and without parameters ("" when Amazon gave none)."""

    content_type: str
    content: bytes = field(repr=False)


def fetch(url: str, *, timeout_seconds: float, own_origin: str = "", http: httpx.Client | None = None) -> FetchedFile:
    """Return the file at `url`, an address that Amazon gave.

    Only https to a host on the internet is followed, and the origin `own_origin` (the sandbox's). Raises
    AmazonUnavailable, worth another try with a fresh address, and UnreadableAnswer for an address that is none of
    Amazon's or a file that is too large.
    """
    try:
        place = trusted(url, own_origin)
    except UntrustedAddress as error:
        raise UnreadableAnswer(
            "Amazon named a file at an address that FlexDash does not follow", operation=_OPERATION
        ) from error
    client = http or shared_pool()
    request = client.build_request("GET", place)
    reply = send(client, request, timeout_seconds=timeout_seconds, max_bytes=MAX_FILE_BYTES)
    if reply.failure == "too_long":
        raise UnreadableAnswer(f"The file is larger than {MAX_FILE_BYTES:,} bytes", operation=_OPERATION)
    if reply.failure:
        raise AmazonUnavailable(f"The file could not be fetched: {reply.failure_text}", operation=_OPERATION)
    if reply.status != 200 or not reply.body:
        raise AmazonUnavailable(
            "The file is not at the address Amazon gave any more", status=reply.status, operation=_OPERATION
        )
    return FetchedFile(reply.headers.get("content-type", "").partition(";")[0].strip().lower(), reply.body)
