"""How well stores are, in one word and one sentence each; the worst comes first where there is room for one only."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from flexdash import clock
from flexdash.models import Store, StoreStatus
from flexdash.services import stores


class Health(IntEnum):
    """From good to bad; drafts and disconnected stores stand apart, for nothing is expected of them."""

    DISCONNECTED = 0
    DRAFT = 1
    GOOD = 2
    EXPIRES_SOON = 3
    STALE = 4
    EXPIRED = 5
    NEEDS_REAUTHORIZATION = 6


@dataclass(frozen=True)
class StoreHealth:
    """`words` fit a badge, `kind` is its colour (good, warn, bad, quiet), `sentence` explains it."""

    health: Health
    words: str
    kind: str
    icon: str
    sentence: str

    @property
    def needs_care(self) -> bool:
        """Whether a person should do something about it."""
        return self.health > Health.GOOD


def of(store: Store, *, is_stale: bool = False) -> StoreHealth:
    """Return how `store` is now; `is_stale` says that a sync which is on has had no good run for too long."""
    if store.status is StoreStatus.DRAFT:
        return StoreHealth(Health.DRAFT, "Not connected yet", "quiet", "clock", "The wizard has not been finished.")
    if store.status is StoreStatus.DISCONNECTED:
        return StoreHealth(Health.DISCONNECTED, "Disconnected", "quiet", "unlink", "Nothing is sent or fetched.")
    if store.status is StoreStatus.NEEDS_REAUTHORIZATION:
        return StoreHealth(
            Health.NEEDS_REAUTHORIZATION,
            "Needs re-authorization",
            "bad",
            "lock",
            "Amazon refuses FlexDash's access, so the syncs wait.",
        )
    days = days_left(store)
    if days is not None and days <= 0:
        return StoreHealth(
            Health.EXPIRED, "Authorization ended", "bad", "lock", "The authorization ended after 365 days."
        )
    if is_stale:
        return StoreHealth(Health.STALE, "Stale", "warn", "warning", "No sync has gone well for too long.")
    if is_ending(store):
        words = f"{days} days left" if days != 1 else "1 day left"
        return StoreHealth(
            Health.EXPIRES_SOON, words, "warn", "clock", "The authorization ends soon. Renew it before it does."
        )
    return StoreHealth(Health.GOOD, "Connected", "good", "link", "Amazon accepts FlexDash's access.")


def worst(healths: list[StoreHealth]) -> StoreHealth | None:
    """Return the one that most needs a person, or None of an empty list."""
    return max(healths, key=lambda one: one.health, default=None)


def days_left(store: Store, now: datetime | None = None) -> int | None:
    """Return the whole days until Amazon's authorization ends, rounded up; 0 or less once it has; None without one."""
    if store.authorization_expires_at is None:
        return None
    seconds = (store.authorization_expires_at - (now or clock.now())).total_seconds()
    return -int(-seconds // 86_400)


def is_ending(store: Store) -> bool:
    """Say whether the banner about the authorization's end belongs on the pages of a connected store."""
    ends_at = store.authorization_expires_at
    return (
        store.status is StoreStatus.CONNECTED and ends_at is not None and ends_at - clock.now() <= stores.EXPIRY_WARNING
    )
