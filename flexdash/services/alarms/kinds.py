"""The kinds of alarms, in one readable table: what each watches, and what a person does about it."""

from dataclasses import dataclass

from flexdash.models import AlarmKind


@dataclass(frozen=True)
class KindFacts:
    """One kind. `label` fits a list, `watches` says when it goes off, `remedy` what to do, `link` where."""

    kind: AlarmKind
    label: str
    watches: str
    remedy: str
    link: str = "Look at the alarm"


KINDS: dict[AlarmKind, KindFacts] = {
    facts.kind: facts
    for facts in (
        KindFacts(
            AlarmKind.REDIS_AWAY,
            "Redis not seen",
            "Redis has not answered for a minute: no sync runs in any store.",
            "Whoever runs FlexDash looks at the Redis that REDIS_URL names and starts it. Syncs go on by themselves.",
        ),
        KindFacts(
            AlarmKind.SCHEDULER_AWAY,
            "Scheduler not seen",
            "The scheduler has shown no sign of life for a minute: no sync begins in any store.",
            "Whoever runs FlexDash starts it: python -m flexdash scheduler. What was missed is caught up with.",
        ),
        KindFacts(
            AlarmKind.WORKER_AWAY,
            "Worker not seen",
            "No worker of a queue has shown a sign of life for a minute: what stands in it is not done.",
            "Whoever runs FlexDash starts a worker for that queue. What waits is then done by itself.",
        ),
        KindFacts(
            AlarmKind.QUEUE_WAITING,
            "Queue growing",
            "A sync run, an uploaded file or an action on many orders has waited for a worker for over 15 minutes.",
            "Whoever runs FlexDash looks whether the workers of that queue live, and starts more if they do.",
            "Look at what waits",
        ),
        KindFacts(
            AlarmKind.AUTHORIZATION,
            "Amazon's authorization",
            "A store's authorization ends within 30, 7 or 1 days, has ended, or is refused by Amazon.",
            "A merchant or an admin authorizes the store again. Its settings, mappings and catalog stay.",
            "Authorize the store again",
        ),
        KindFacts(
            AlarmKind.ORDER_SYNC_STALE,
            "Order Sync stale",
            "A store with Order Sync on has had no good run for too long: orders may be missing.",
            "Look at the last runs for the reason, then press Sync now on the store's overview.",
            "Look at the store",
        ),
        KindFacts(
            AlarmKind.INVENTORY_SYNC_STALE,
            "Inventory Sync stale",
            "A store with Inventory Sync on has had no good run for too long: Amazon may sell what is sold already.",
            "Look at the last runs for the reason, then press Sync now on the store's overview.",
            "Look at the store",
        ),
        KindFacts(
            AlarmKind.SYNC_FAILING,
            "Sync failing",
            "The last runs of a store's sync all failed.",
            "Look at the last run: it says in words what went wrong and what to do.",
            "Look at the last run",
        ),
        KindFacts(
            AlarmKind.ALL_REFUSED,
            "Everything refused",
            "Amazon took nothing of the last push of a store's stock or prices: it refused every item.",
            "Look at the run: it has Amazon's words for each item and what to do. A push that Amazon takes ends this.",
            "Look at the run",
        ),
        KindFacts(
            AlarmKind.ACKNOWLEDGEMENT_REFUSED,
            "Acknowledgement refused",
            "Amazon refused to take note that an order was accepted, and may cancel it.",
            "Look the order up in Seller Central, then acknowledge it again on its page, or cancel it.",
            "Look at the orders",
        ),
        KindFacts(
            AlarmKind.ZERO_BRAKE,
            "Push of zeros waits",
            "A push would set more quantities to zero on Amazon than the store allows, so nothing is sent.",
            "Look at what would go to zero, and approve or decline it.",
            "Approve or decline it",
        ),
        KindFacts(
            AlarmKind.CONFLICTS,
            "Conflicts",
            "Amazon and FlexDash say of an order what does not fit together.",
            "Open each order, settle it, and close the conflict with a note.",
            "Look at the conflicts",
        ),
        KindFacts(
            AlarmKind.QUARANTINE,
            "Shipments in quarantine",
            "Amazon sent a shipment in a form that FlexDash could not read.",
            "Look at what is wrong with each, and work urgent ones in Seller Central meanwhile.",
            "Look at the quarantine",
        ),
        KindFacts(
            AlarmKind.LOG_BROKEN,
            "Configuration Log damaged",
            "The last verification of the Configuration Log found a row that was changed, inserted or removed.",
            "Keep the database as it is, make a copy, and compare it with the last good backup. Then verify again.",
            "Look at the verification",
        ),
    )
}
