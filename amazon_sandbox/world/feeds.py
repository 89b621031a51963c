"""Feeds of type JSON_LISTINGS_FEED: in the queue, at work, done, and what was wrong with each message.

A feed stands in the queue for `feed_seconds` and is at work as long again; then its messages are submitted as patches
one by one would be, and a report is written. A feed that is no feed at all ends as FATAL, with a report that says why.
"""

import gzip
import json
from dataclasses import astuple, dataclass
from typing import Any

from amazon_sandbox.world import accounts
from amazon_sandbox.world.clock import Clock, iso
from amazon_sandbox.world.database import Database
from amazon_sandbox.world.errors import ApiError, invalid_input
from amazon_sandbox.world.faults import Faults
from amazon_sandbox.world.feed_documents import FeedDocument, FeedDocuments
from amazon_sandbox.world.listings import Listings, account_of
from amazon_sandbox.world.offers import BadPatch, Issue
from amazon_sandbox.world.options import Options

FEED_TYPE = "JSON_LISTINGS_FEED"
MAX_MESSAGES = 25_000
ENDS = ("DONE", "FATAL", "CANCELLED")
FATES = {"feed_fatal": "FATAL", "feed_stuck": "STUCK", "feed_cancelled": "CANCELLED"}
COLUMNS = "id, seller_id, document_id, marketplace_ids, fate, created_ms, status, started_ms, ended_ms, report_id"


@dataclass(frozen=True)
class Feed:
    """One feed as it stands. `fate` is an end that a fault has in store for it."""

    id: str
    seller_id: str
    document_id: str
    marketplace_ids: tuple[str, ...]
    fate: str
    created_ms: int
    status: str
    started_ms: int | None
    ended_ms: int | None
    report_id: str | None

    def body(self) -> dict[str, Any]:
        """The feed as getFeed answers it."""
        told: dict[str, Any] = {
            "feedId": self.id,
            "feedType": FEED_TYPE,
            "marketplaceIds": list(self.marketplace_ids),
            "createdTime": iso(self.created_ms),
            "processingStatus": self.status,
        }
        times = {"processingStartTime": self.started_ms, "processingEndTime": self.ended_ms}
        told |= {name: iso(ms) for name, ms in times.items() if ms is not None}
        return told | ({"resultFeedDocumentId": self.report_id} if self.report_id else {})


class BadFeed(ValueError):
    """The document as a whole is no feed."""


class Feeds:
    """All feeds, brought up to the present whenever somebody looks."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        faults: Faults,
        options: Options,
        listings: Listings,
        documents: FeedDocuments,
    ):
        self._database, self._clock, self._faults, self._options = database, clock, faults, options
        self._listings, self._documents = listings, documents

    def create(self, seller_id: str, document_id: str, feed_type: str, marketplace_ids: list[str]) -> Feed:
        """A new feed in the queue. ApiError 400 when it cannot be one."""
        if feed_type != FEED_TYPE:
            raise invalid_input(f"feedType {feed_type} is not supported here; {FEED_TYPE} is.")
        account_of(seller_id, marketplace_ids)
        document = self._documents.find(document_id, seller_id)
        if document is None or document.content is None:
            raise invalid_input(f"inputFeedDocumentId {document_id} is unknown, or nothing was uploaded to it.")
        kind = self._faults.fires(tuple(FATES), "createFeed", seller_id=seller_id)
        with self._database.transaction() as connection:
            n_feeds = self._database.rows("select count(*) from feeds")[0][0]
            feed = Feed(
                id=str(50_000_000_000 + n_feeds + 1),
                seller_id=seller_id,
                document_id=document_id,
                marketplace_ids=tuple(marketplace_ids),
                fate=FATES[kind.kind] if kind else "",
                created_ms=self._clock.now_ms(),
                status="IN_QUEUE",
                started_ms=None,
                ended_ms=None,
                report_id=None,
            )
            connection.execute(
                f"insert into feeds ({COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                [json.dumps(value) if isinstance(value, tuple) else value for value in astuple(feed)],
            )
        return feed

    def find(self, feed_id: str, seller_id: str) -> Feed | None:
        """The seller's feed, as it stands now."""
        return next((feed for feed in self.all(seller_id) if feed.id == feed_id), None)

    def all(self, seller_id: str | None = None) -> list[Feed]:
        """Every feed (of one seller), oldest first, as it stands now."""
        self.advance()
        rows = self._database.rows(f"select {COLUMNS} from feeds order by id")  # noqa: S608
        return [feed for feed in map(_feed, rows) if seller_id in (None, feed.seller_id)]

    def end(self, feed_id: str, status: str) -> Feed:
        """Ends a feed that is not over, as DONE, FATAL or CANCELLED. ApiError 404 or 409, ValueError for the status."""
        if status not in ENDS:
            raise ValueError(f"status must be one of {', '.join(ENDS)}")
        with self._database.transaction():
            feed = next((feed for feed in self.all() if feed.id == feed_id), None)
            if feed is None:
                raise ApiError(404, "NotFound", "There is no such feed.", f"There is no feed {feed_id}.")
            if feed.status in ENDS:
                raise ApiError(409, "StateConflict", "The feed is over.", f"Feed {feed_id} is {feed.status} already.")
            self._finish(feed, status)
        return next(found for found in self.all() if found.id == feed_id)

    def advance(self) -> None:
        """Does what is due by now, in the order the feeds came."""
        with self._database.transaction():
            rows = self._database.rows(
                f"select {COLUMNS} from feeds where status in ('IN_QUEUE', 'IN_PROGRESS') order by id"  # noqa: S608
            )
            now, stage_ms = self._clock.now_ms(), int(self._options.feed_seconds * 1000)
            for feed in map(_feed, rows):
                if feed.fate == "STUCK":
                    continue
                if now >= feed.created_ms + 2 * stage_ms:
                    self._finish(feed, feed.fate or "DONE")
                elif now >= feed.created_ms + stage_ms and feed.status == "IN_QUEUE":
                    self._write(feed.id, "IN_PROGRESS", started_ms=feed.created_ms + stage_ms)

    def _finish(self, feed: Feed, status: str) -> None:
        now = self._clock.now_ms()
        if status == "CANCELLED":
            self._write(feed.id, status)
            return
        report_id = None
        if status == "DONE":
            document = self._documents.find(feed.document_id)
            status, report = self._process(feed, document)
            content = gzip.compress(json.dumps(report).encode())
            report_id = self._documents.add(feed.seller_id, "application/json; charset=UTF-8", content, is_gzip=True).id
        self._write(feed.id, status, started_ms=feed.started_ms or now, ended_ms=now, report_id=report_id)

    def _write(self, feed_id: str, status: str, **values: Any) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "update feeds set status = ?, started_ms = coalesce(?, started_ms), ended_ms = ?, report_id = ? "
                "where id = ?",
                (status, values.get("started_ms"), values.get("ended_ms"), values.get("report_id"), feed_id),
            )

    def _process(self, feed: Feed, document: FeedDocument | None) -> tuple[str, dict[str, Any]]:
        """Submits every message; the feed's end and its report."""
        header = {"sellerId": feed.seller_id, "version": "2.0", "feedId": feed.id}
        try:
            messages = _messages(feed, document)
        except BadFeed as refusal:
            issue = {"messageId": 0, "code": "4000000", "severity": "ERROR", "message": str(refusal)}
            return "FATAL", {"header": header, "issues": [issue], "summary": _summary(0, 0, [issue])}
        issues: list[dict[str, Any]] = []
        n_taken, seen = 0, set()
        for message in messages:
            found = self._submit(feed, message, seen)
            n_taken += all(issue.severity != "ERROR" for issue in found)
            issues += [_report_line(message, issue) for issue in found]
        return "DONE", {"header": header, "issues": issues, "summary": _summary(len(messages), n_taken, issues)}

    def _submit(self, feed: Feed, message: Any, seen: set[int]) -> list[Issue]:
        if not isinstance(message, dict):
            return [Issue("4000000", "A message must be an object.")]
        message_id, sku_code = message.get("messageId"), message.get("sku")
        if not isinstance(message_id, int) or isinstance(message_id, bool) or not 1 <= message_id < 2**31:
            return [Issue("4000000", "messageId must be a whole number from 1.")]
        if message_id in seen:
            return [Issue("4000000", f"messageId {message_id} stands in the feed twice.")]
        seen.add(message_id)
        if not isinstance(sku_code, str) or not sku_code or not isinstance(message.get("productType"), str):
            return [Issue("4000000", "A message needs a sku and a productType.")]
        if message.get("operationType") != "PATCH" or set(message) - {
            "messageId",
            "sku",
            "operationType",
            "productType",
            "patches",
        }:
            return [Issue("4000000", "Only messages of operationType PATCH with patches are played here.")]
        try:
            account = accounts.BY_ID[feed.seller_id]
            return self._listings.submit(account, sku_code, message.get("patches"), operation="createFeed")
        except BadPatch as refusal:
            return [Issue("4000001", str(refusal))]


def _messages(feed: Feed, document: FeedDocument | None) -> list[Any]:
    try:
        told = json.loads((document.content or b"") if document else b"")
    except ValueError as error:
        raise BadFeed("The document is not JSON.") from error
    header = told.get("header") if isinstance(told, dict) else None
    if not isinstance(header, dict) or header.get("version") != "2.0" or header.get("sellerId") != feed.seller_id:
        raise BadFeed("The header must name version 2.0 and the seller.")
    messages = told.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadFeed("messages must be a list with at least one message.")
    if len(messages) > MAX_MESSAGES:
        raise BadFeed(f"A feed may hold {MAX_MESSAGES:,} messages; this one holds {len(messages):,}.")
    return messages


def _report_line(message: Any, issue: Issue) -> dict[str, Any]:
    told = message if isinstance(message, dict) else {}
    line = {"messageId": told.get("messageId", 0), "code": issue.code, "severity": issue.severity}
    if isinstance(told.get("sku"), str):
        line["sku"] = told["sku"]
    return line | {"message": issue.message, "attributeNames": ["purchasable_offer"]}


def _summary(n_messages: int, n_taken: int, issues: list[dict[str, Any]]) -> dict[str, int]:
    n_errors = sum(issue["severity"] == "ERROR" for issue in issues)
    return {
        "errors": n_errors,
        "warnings": len(issues) - n_errors,
        "messagesProcessed": n_messages,
        "messagesAccepted": n_taken,
        "messagesInvalid": n_messages - n_taken,
    }


def _feed(row: tuple) -> Feed:
    return Feed(*row[:3], tuple(json.loads(row[3])), *row[4:])
