"""Feeds, version 2021-06-30: many changes of listings at once, and the report on each.

https://developer-docs.amazon.com/sp-api/docs/feeds-api. A document is made, its content put behind the address that
comes back, a feed made of it, and asked about until it has ended; then its report is fetched. What is sent is checked
first (InvalidArgument, nothing leaves); besides, each method raises the errors of `Transport.call`, and those that move
documents the errors of `StoredDocuments`.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flexdash.amazon import lenient, strict
from flexdash.amazon.errors import AddressExpired, UnreadableAnswer
from flexdash.amazon.operations import (
    CREATE_FEED,
    CREATE_FEED_DOCUMENT,
    FEED_DOCUMENTS_PATH,
    FEEDS_PATH,
    GET_FEED,
    GET_FEED_DOCUMENT,
)
from flexdash.amazon.stored_documents import StoredDocuments
from flexdash.amazon.transport import Transport

LISTINGS_FEED = "JSON_LISTINGS_FEED"
CONTENT_TYPE = "application/json; charset=UTF-8"
ENDS = frozenset({"DONE", "FATAL", "CANCELLED"})
_MAX_ID = 1000
_MAX_ADDRESS = 8000


@dataclass(frozen=True, slots=True)
class DocumentPlace:
    """A document and the address that opens it for five minutes, which is a secret of its own."""

    id: str
    address: str = field(repr=False)
    is_gzip: bool = False


@dataclass(frozen=True, slots=True)
class Feed:
    """How far a feed is. `status` is IN_QUEUE, IN_PROGRESS, DONE, FATAL, CANCELLED or a later word ("" when unsaid)."""

    id: str
    status: str
    result_document_id: str
    created_at: datetime | None
    ended_at: datetime | None

    @property
    def is_over(self) -> bool:
        """Whether Amazon will do nothing more with it."""
        return self.status in ENDS


class Feeds:
    """The feeds of one selling partner."""

    def __init__(self, transport: Transport, documents: StoredDocuments) -> None:
        self._transport = transport
        self._documents = documents

    def upload(self, content: bytes) -> str:
        """Put a document at Amazon and return its id. An address that ended on the way is asked for once more.

        https://developer-docs.amazon.com/sp-api/reference/createfeeddocument
        """
        try:
            return self._upload(content)
        except AddressExpired:
            return self._upload(content)

    def create(self, document_id: str, marketplace_id: str) -> str:
        """Make a feed of an uploaded document for one marketplace, and return its id.

        Not repeated by itself when the answer is lost: the error's `is_outcome_unknown` says that a feed may exist.
        https://developer-docs.amazon.com/sp-api/reference/createfeed
        """
        body = {
            "feedType": LISTINGS_FEED,
            "marketplaceIds": [strict.text("marketplace_id", marketplace_id)],
            "inputFeedDocumentId": strict.text("document_id", document_id, _MAX_ID),
        }
        feed_id = lenient.text(self._transport.call(CREATE_FEED, FEEDS_PATH, body=body).data.get("feedId"), _MAX_ID)
        if not feed_id:
            raise UnreadableAnswer(
                "Amazon's answer holds no id of the feed", operation=CREATE_FEED.name, is_outcome_unknown=True
            )
        return feed_id

    def get(self, feed_id: str) -> Feed:
        """Return how far a feed is. https://developer-docs.amazon.com/sp-api/reference/getfeed"""
        path = (*FEEDS_PATH, strict.segment("feed_id", feed_id))
        return read_feed(self._transport.call(GET_FEED, path).data, feed_id)

    def read(self, document_id: str) -> bytes:
        """Return the content of a document, unpacked, such as a feed's report; its address is asked for first.

        https://developer-docs.amazon.com/sp-api/reference/getfeeddocument
        """
        try:
            return self._read(document_id)
        except AddressExpired:
            return self._read(document_id)

    def _upload(self, content: bytes) -> str:
        body = {"contentType": CONTENT_TYPE}
        answer = self._transport.call(CREATE_FEED_DOCUMENT, FEED_DOCUMENTS_PATH, body=body)
        place = read_place(answer.data, CREATE_FEED_DOCUMENT.name)
        self._documents.put(place.address, content, CONTENT_TYPE)
        return place.id

    def _read(self, document_id: str) -> bytes:
        path = (*FEED_DOCUMENTS_PATH, strict.segment("document_id", document_id))
        place = read_place(self._transport.call(GET_FEED_DOCUMENT, path).data, GET_FEED_DOCUMENT.name)
        return self._documents.get(place.address, is_gzip=place.is_gzip)


def read_feed(data: Any, feed_id: str = "") -> Feed:
    """Read a feed as `getFeed` answers it; what cannot be read is left out."""
    data = lenient.members(data)
    return Feed(
        id=lenient.text(data.get("feedId"), _MAX_ID) or feed_id,
        status=lenient.text(data.get("processingStatus"), 40).upper(),
        result_document_id=lenient.text(data.get("resultFeedDocumentId"), _MAX_ID),
        created_at=lenient.moment(data.get("createdTime")),
        ended_at=lenient.moment(data.get("processingEndTime")),
    )


def read_place(data: Any, operation: str = "") -> DocumentPlace:
    """Read where a document lies; raise UnreadableAnswer when the answer does not say."""
    data = lenient.members(data)
    document_id = lenient.text(data.get("feedDocumentId"), _MAX_ID)
    address = lenient.text(data.get("url"), _MAX_ADDRESS)
    if not document_id or not address:
        raise UnreadableAnswer("Amazon's answer does not say where the document lies", operation=operation)
    return DocumentPlace(document_id, address, lenient.text(data.get("compressionAlgorithm")).upper() == "GZIP")
