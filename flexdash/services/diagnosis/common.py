"""Checks that several questions have in common: the connection, the parts of FlexDash at work, and a sync's runs."""

from dataclasses import dataclass

from flexdash.models import Store, StoreStatus, Sync
from flexdash.services import countries, store_health, store_settings
from flexdash.services.config_log import MAX_REASON_LENGTH
from flexdash.services.diagnosis.checks import Finding, Fix, FixKind, Outcome, answered, failed, passed
from flexdash.services.store_settings import Toggle
from flexdash.services.sync_status import SyncStatus
from flexdash.services.words import quoted


@dataclass(frozen=True)
class Parts:
    """Which parts of FlexDash have been seen at work lately, for a service cannot see that itself."""

    unserved_queues: tuple[str, ...] = ()
    is_scheduler_seen: bool = True
    is_redis_away: bool = False


def account_of(store: Store) -> str:
    """Return the store with its Amazon account and country, for the middle of a sentence."""
    where = countries.name_of(store.country_code)
    account = f"account {store.amazon_selling_partner_id}, " if store.amazon_selling_partner_id else ""
    return f"{store.name} ({account}{where})"


def connection(store: Store) -> Finding:
    """Say whether Amazon lets FlexDash in for `store`, as far as FlexDash knows. A draft is never looked at here."""
    reauthorize = Fix(FixKind.REAUTHORIZE, {"store_id": store.id}, store.name)
    match store.status:
        case StoreStatus.DISCONNECTED:
            return failed(
                f"{store.name} is disconnected from Amazon, so nothing is fetched or sent.",
                Fix(FixKind.RECONNECT, {"store_id": store.id}, store.name),
                moments=[("Disconnected", store.disconnected_at)],
            )
        case StoreStatus.NEEDS_REAUTHORIZATION:
            return failed(
                f"{store.name} needs re-authorization: Amazon refuses FlexDash's access. Amazon's reason: "
                f"{store.reauthorization_reason.rstrip('.')}.",
                reauthorize,
            )
    days = store_health.days_left(store)
    if days is not None and days <= 0:
        return failed(
            f"The authorization of {store.name} ended after 365 days. Amazon wants it renewed.",
            reauthorize,
            moments=[("Ended", store.authorization_expires_at)],
        )
    return passed(f"{store.name} is connected to Amazon.")


def toggle_off(store: Store, toggle: Toggle, consequence: str, *fixes: Fix) -> Finding:
    """Say that `toggle` is off, that `consequence` follows, and who turned it off, when and why, if logged."""
    settings = Fix(FixKind.TOGGLES, {"store_id": store.id}, store.name)
    change = store_settings.last_change(store, toggle)
    if change is None:
        return failed(f"{toggle.label} is off for {store.name}, {consequence}", settings, *fixes)
    why = f" The reason given: {quoted(change.reason, MAX_REASON_LENGTH)}." if change.reason else ""
    return failed(
        f"{change.actor_name} turned {toggle.label} off for {store.name}, {consequence}{why}",
        settings,
        *fixes,
        Fix(FixKind.LOG_ROW, {"event_id": change.id}),
        moments=[("Turned off", change.occurred_at)],
    )


def parts_at_work(parts: Parts, queues: tuple[str, ...] = ("tick", "sync")) -> Finding:
    """Say whether what starts and runs syncs has been seen lately."""
    tell = "Tell whoever runs FlexDash; what is due is made up for by itself afterwards."
    if parts.is_redis_away:
        return failed(f"Redis is away, so no work reaches a worker and every sync waits. {tell}")
    if not parts.is_scheduler_seen:
        return failed(f"The scheduler has not been seen lately, so no sync starts by itself. {tell}")
    if idle := [name for name in parts.unserved_queues if name in queues]:
        return failed(f"No worker has been seen lately for {' and '.join(idle)}, so runs wait. {tell}")
    return passed("The scheduler and the workers have been seen lately.")


def keeps_from_starting(store: Store, parts: Parts) -> str:
    """Return why no run of `store` starts by itself, its syncs being on and not paused; "" where nothing is known."""
    found = (connection(store), parts_at_work(parts))
    return next((finding.sentence for finding in found if finding.outcome is Outcome.FAILED), "")


def last_run(store: Store, status: SyncStatus) -> Finding | None:
    """Say what the last run of a sync that is on has to do with it; None when runs go well and the next one is awaited.

    The checks of the connection and of the parts come before this one.
    """
    run = status.last_run
    of_run = (Fix(FixKind.RUN, {"run_id": run.id}),) if run is not None else ()
    again = sync_now(store, status.sync)
    moments = [("Last good run", status.last_success_at), ("Next run", status.next_due_at)]
    match status.state:
        case "Failed" | "Retrying":
            moments.append(("Next try", run.retry_at if run else None))
            sentence = f"The last run of {status.label} failed: {status.sentence}"
            return failed(sentence, *of_run, again, moments=moments)
        case "Stale":
            return failed(status.sentence, *of_run, again, moments=moments)
        case "Running":
            return answered(
                f"A run of {status.label} is at work now. {status.sentence} Look again in a minute.", *of_run
            )
        case "Waiting" if status.is_overdue:
            return failed(status.sentence, again, moments=moments)
        case "Waiting":
            return answered(f"{status.label} is on its way: {status.sentence}", again, moments=moments)
    return None


def sync_now(store: Store, sync: Sync | None) -> Fix:
    """Return what starts a run of `sync` by hand."""
    return Fix(FixKind.SYNC_NOW, {"store_id": store.id, "sync": sync.value if sync else ""}, store.name)
