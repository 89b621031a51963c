"""The inventory push of one store: what changed, or everything, goes to Amazon at the pace Amazon allows."""

from typing import Any

from sqlalchemy import delete, insert, update

from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import ItemOutcome, Sync, SyncRun, SyncRunItem, SyncState
from flexdash.services.amazon_access import CallLog, open_amazon, store_at_amazon
from flexdash.services.inventory import brake, outbox
from flexdash.services.inventory.left_out import left_out
from flexdash.services.inventory.plan import Plan, make_plan
from flexdash.services.inventory.sending import Sending
from flexdash.services.run_context import RunContext


def push(run: RunContext) -> None:
    """Tell Amazon every quantity that it does not have yet; in a full push every quantity.

    What Amazon refuses stays with its words and is sent again with the next run; an attempt that dies is made again
    and sends what is not answered. Raises StoreNotConnected, AmazonError when Amazon does not let us in or answers
    nothing, RunSkipped when a person has to decide first, and RunInterrupted.
    """
    store = store_at_amazon(run.store_id)
    plan = make_plan(run.run_id)
    items = [] if plan.retry_of_id else left_out(plan.store, plan.locations)
    zeros = brake.check(run, plan)
    _begin(run, plan, items)
    if plan.n_due:
        calls = CallLog(store, run.run_id)
        with open_amazon(store, calls, makes_many_calls=True) as client:
            Sending(run, plan, zeros, calls, client).send()
    if plan.is_full:
        _keep_full(run, plan)


def _begin(run: RunContext, plan: Plan, items: list[dict[str, Any]]) -> None:
    """Keep on the run what it looked at and what it leaves out and why."""
    with transaction() as session:
        row = session.get_one(SyncRun, run.run_id, populate_existing=True)
        is_counted = row.n_fetched > 0  # by an earlier attempt: counts describe the whole run
        row.is_full = plan.is_full
        session.execute(
            delete(SyncRunItem).where(SyncRunItem.run_id == run.run_id, SyncRunItem.outcome == ItemOutcome.SKIPPED)
        )
        if plan.retry_of_id is None:
            outbox.forget_refusals(run.store_id)
        if items:
            session.execute(insert(SyncRunItem), [{"run_id": run.run_id, **item} for item in items])
        n_unchanged = plan.n_lines - plan.n_due
        counts = {} if is_counted else {"n_fetched": plan.n_lines, "n_skipped": n_unchanged}
        run.check_in(progress=f"Sending {plan.n_due:,} of {plan.n_lines:,} quantities.", **counts)


def _keep_full(run: RunContext, plan: Plan) -> None:
    with transaction():
        db.session.execute(
            update(SyncState)
            .where(SyncState.store_id == run.store_id, SyncState.sync == Sync.INVENTORY_PUSH)
            .values(last_full_at=plan.started_at)
            .execution_options(synchronize_session=False)
        )
        run.check_in()
