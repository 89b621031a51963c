"""The documents of feeds: kept as they were uploaded, behind addresses that live five minutes and need no token."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from urllib.parse import urlencode

from amazon_sandbox.world.clock import Clock
from amazon_sandbox.world.database import Database

LINK_SECONDS = 300
MAX_UPLOAD_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True)
class FeedDocument:
    """One document. `content` is None until it was uploaded; `is_gzip` says that it is compressed."""

    id: str
    seller_id: str
    content_type: str
    is_gzip: bool
    content: bytes | None


class FeedDocuments:
    """All documents of feeds, and the addresses that open them."""

    def __init__(self, database: Database, key: bytes, clock: Clock):
        self._database, self._key, self._clock = database, key, clock

    def add(
        self, seller_id: str, content_type: str, content: bytes | None = None, *, is_gzip: bool = False
    ) -> FeedDocument:
        """A new document, empty until its content is put."""
        document_id = f"amzn1.tortuga.4.sandbox.{secrets.token_hex(16)}"
        with self._database.transaction() as connection:
            connection.execute(
                "insert into feed_documents values (?, ?, ?, ?, ?)",
                (document_id, seller_id, content_type, int(is_gzip), content),
            )
        return FeedDocument(document_id, seller_id, content_type, is_gzip, content)

    def find(self, document_id: str, seller_id: str | None = None) -> FeedDocument | None:
        """The document with this id, of this seller when one is named."""
        rows = self._database.rows(
            "select id, seller_id, content_type, is_gzip, content from feed_documents where id = ?", document_id
        )
        if not rows or seller_id not in (None, rows[0][1]):
            return None
        return FeedDocument(*rows[0][:3], is_gzip=bool(rows[0][3]), content=rows[0][4])

    def put(self, document_id: str, content: bytes) -> None:
        """Keeps what was uploaded."""
        with self._database.transaction() as connection:
            connection.execute("update feed_documents set content = ? where id = ?", (content, document_id))

    def address(self, base_url: str, method: str, document_id: str, *, is_expired: bool = False) -> str:
        """The address that opens the document for `method` (PUT or GET) during five minutes."""
        lives = -1 if is_expired else LINK_SECONDS
        expires = str(int(self._clock.now()) + lives)
        query = urlencode({"expires": expires, "signature": self._sign(method, document_id, expires)})
        return f"{base_url}/documents/{document_id}?{query}"

    def is_good(self, method: str, document_id: str, expires: str, signature: str) -> bool:
        """Whether the address was made here for this method and is not too old."""
        is_ours = hmac.compare_digest(signature.encode(), self._sign(method, document_id, expires).encode())
        return is_ours and int(expires) >= self._clock.now()

    def _sign(self, *parts: str) -> str:
        return hmac.new(self._key, "\n".join(("feed document", *parts)).encode(), hashlib.sha256).hexdigest()
