"""Writing the Configuration Log: one sentence per change, in the transaction of the change, chained by hashes."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import ConfigChainHead, ConfigEvent, ConfigRevert, Section, Seller, Store
from flexdash.services.actors import Actor
from flexdash.services.errors import ChangedMeanwhile, FieldRefused
from flexdash.services.words import one_line, shortened

MAX_REASON_LENGTH = 300
HASHED_FIELDS = (
    "workspace_id",
    "sequence",
    "occurred_at",
    "actor_id",
    "actor_name",
    "address",
    "section",
    "seller_id",
    "store_id",
    "sentence",
    "old_value",
    "new_value",
    "reason",
    "previous_hash",
)
REVERTS = "reverts_row"  # the key under which a row's new values name the row that it takes back
# Keys of old and new values that are for programs; names stand beside.
INTERNAL_KEYS = frozenset(
    {
        "hub_id",
        "mapping_id",
        "user_id",
        "seller_id",
        "seller_ids",
        "store_id",
        "listing_id",
        "upload_id",
        REVERTS,
    }
)


@dataclass
class Reverting:
    """A change that is being taken back: the row `sequence`. `event` is the row that says so, once it is written."""

    sequence: int
    present: Mapping[str, Any]
    reason: str
    event: ConfigEvent | None = None

    def check(self, old: Mapping[str, Any]) -> None:
        """Raise ChangedMeanwhile when something else is about to be replaced than what the person was shown."""
        replaced = {key: value for key, value in old.items() if key not in INTERNAL_KEYS}
        if any(key not in self.present or self.present[key] != value for key, value in replaced.items()):
            raise ChangedMeanwhile(
                "Somebody changed this while the page was open. Nothing was reverted. The page shows how it is now; "
                "revert again if you still want to."
            )


_reverting: ContextVar[Reverting | None] = ContextVar("reverting", default=None)


@contextmanager
def reverting(sequence: int, present: Mapping[str, Any], reason: str) -> Iterator[Reverting]:
    """Let the verb inside take back what row `sequence` says: its own row in the log names that row and the reason.

    `present` are the values that the person was shown as the present ones, under the log's keys. Where the verb finds
    others once it holds its locks, it fails with ChangedMeanwhile and changes nothing.
    """
    own = Reverting(sequence, present, clean_reason(reason))
    token = _reverting.set(own)
    try:
        yield own
    finally:
        _reverting.reset(token)


def record(
    actor: Actor,
    section: Section,
    sentence: str,
    *,
    store: Store | None = None,
    seller: Seller | None = None,
    old: dict[str, Any] | None = None,
    new: dict[str, Any] | None = None,
    reason: str = "",
) -> ConfigEvent:
    """Append one row inside the caller's open transaction and return it.

    `old` and `new` are the JSON values before and after; never put a secret or buyer data into them. The workspace's
    chain head is locked until the caller commits: concurrent writers queue up, and the chain stays one line. Call it
    last in a transaction, so that the lock is short.
    """
    if undone := _reverting.get():
        undone.check(old or {})
        sentence = f"{actor.name} reverted row {undone.sequence}: {sentence.removeprefix(f'{actor.name} ')}"
        new, reason = {**(new or {}), REVERTS: undone.sequence}, undone.reason
    head = db.session.get(ConfigChainHead, actor.workspace_id, with_for_update=True, populate_existing=True)
    if head is None:
        raise RuntimeError(f"workspace {actor.workspace_id} has no chain head; services.workspaces makes it")
    event = ConfigEvent(
        workspace_id=actor.workspace_id,
        sequence=head.sequence + 1,
        occurred_at=clock.now(),
        actor_id=actor.user_id,
        actor_name=actor.name,
        address=actor.address[:45],  # a proxy may pass on anything in its header
        section=section,
        seller_id=seller.id if seller else store.seller_id if store else None,
        store_id=store.id if store else None,
        sentence=shortened(one_line(sentence)),
        old_value=old or {},
        new_value=new or {},
        reason=clean_reason(reason),
        previous_hash=head.hash,
    )
    event.hash = hash_of(event)
    db.session.add(event)
    head.sequence, head.hash = event.sequence, event.hash
    if undone:
        own = {"workspace_id": event.workspace_id, "sequence": event.sequence}
        db.session.add(ConfigRevert(**own, reverted_sequence=undone.sequence))
        undone.event = event
    db.session.flush()
    return event


def clean_reason(reason: str) -> str:
    """Return `reason` as the log keeps it: trimmed, on one line.

    Raises FieldRefused for the field `reason` when it is longer than the log can keep.
    """
    text = one_line(reason)
    if len(text) > MAX_REASON_LENGTH:
        raise FieldRefused(
            "reason", f"The reason has {len(text)} characters. Shorten it to {MAX_REASON_LENGTH} or fewer."
        )
    return text


def hash_of(event: ConfigEvent) -> str:
    """Return the SHA-256 over all that `event` says and the hash of the row before it, as hexadecimal text."""
    return hash_of_values({name: getattr(event, name) for name in HASHED_FIELDS})


def hash_of_values(values: Mapping[str, Any]) -> str:
    """Do the same for a row given as the values of HASHED_FIELDS; `occurred_at` is an aware datetime in UTC.

    Raises TypeError or ValueError when a value is of a kind that no row is written with.
    """
    content = {name: values[name] for name in HASHED_FIELDS}
    content["occurred_at"] = values["occurred_at"].isoformat(timespec="microseconds")
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
