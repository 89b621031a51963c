"""Writing the Configuration Log: one sentence per change, in the transaction of the change, chained by hashes."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import ConfigChainHead, ConfigEvent, Section, Seller, Store
from flexdash.services.actors import Actor
from flexdash.services.errors import FieldRefused
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
