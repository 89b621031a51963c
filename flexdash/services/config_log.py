"""Writing the Configuration Log: one sentence per change, in the transaction of the change, chained by hashes."""

import hashlib
import json
from typing import Any

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import ConfigChainHead, ConfigEvent, Section, Seller, Store
from flexdash.services.actors import Actor

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
        address=actor.address,
        section=section,
        seller_id=seller.id if seller else store.seller_id if store else None,
        store_id=store.id if store else None,
        sentence=sentence,
        old_value=old or {},
        new_value=new or {},
        reason=reason.strip(),
        previous_hash=head.hash,
    )
    event.hash = hash_of(event)
    db.session.add(event)
    head.sequence, head.hash = event.sequence, event.hash
    db.session.flush()
    return event


def hash_of(event: ConfigEvent) -> str:
    """Return the SHA-256 over all that `event` says and the hash of the row before it, as hexadecimal text."""
    content: dict[str, Any] = {name: getattr(event, name) for name in HASHED_FIELDS}
    content["occurred_at"] = event.occurred_at.isoformat(timespec="microseconds")
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
