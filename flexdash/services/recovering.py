"""The run of a recovery: each id is found at Amazon and brought in as a pull would, page by page, step by step.

What is done is committed with its outcome, so a killed worker's successor goes on with what is left.
"""

from collections.abc import Sequence
from contextlib import closing

from sqlalchemy import select

from flexdash.database import release_connection, transaction
from flexdash.extensions import db, vault
from flexdash.models import Recovery, Store
from flexdash.services import acknowledgement, differences, order_holds
from flexdash.services.amazon_access import CallLog, open_amazon, store_at_amazon
from flexdash.services.errors import ServiceError
from flexdash.services.order_import import OrderImporter
from flexdash.services.order_pages import ReadPage
from flexdash.services.recovery_items import finish, keep_listed
from flexdash.services.recovery_lookup import look_up, search_orders
from flexdash.services.recovery_outcomes import bring_in
from flexdash.services.recovery_work import Task, Work, keep_place, reading, walked_pages
from flexdash.services.run_context import RunContext
from flexdash.services.shipment_lists import Leg, legs_of_days


def recover(run: RunContext) -> None:
    """Do what is left of the recovery that the run belongs to, then acknowledge what is new.

    Raises StoreNotConnected, AmazonError, RunInterrupted, and ServiceError for a run without a recovery.
    """
    task = _task_of(run)
    store = store_at_amazon(run.store_id)
    connected_at = db.session.scalars(select(Store.connected_at).where(Store.id == run.store_id)).one()
    calls = CallLog(store, run.run_id)
    importer = OrderImporter(
        workspace_id=store.workspace_id,
        store_id=store.store_id,
        run_id=run.run_id,
        vault=vault._get_current_object(),
    )
    with open_amazon(store, calls) as client:
        work = Work(run, task, store, client, importer, calls, connected_at)
        if task.updated_from is not None and task.updated_to is not None:
            _read_days(work, legs_of_days(task.updated_from, task.updated_to, task.asked_at))
        else:
            look_up(work)
            search_orders(work)
        with transaction():
            finish(task.recovery_id)
            calls.write()
            run.check_in(progress="Everything asked for was looked at.")
        if importer.has_freed_stock:
            order_holds.release_for_seller(importer.seller_id(), run_id=run.run_id)
        acknowledgement.acknowledge_pending(run, client, calls)


def _task_of(run: RunContext) -> Task:
    query = select(
        Recovery.id,
        Recovery.asked_at,
        Recovery.updated_from,
        Recovery.updated_to,
        Recovery.reached_leg,
        Recovery.page_token,
    ).where(Recovery.run_id == run.run_id, Recovery.store_id == run.store_id)
    row = db.session.execute(query).one_or_none()
    release_connection()
    if row is None:
        raise ServiceError(
            "This run belongs to no recovery, so there was nothing to look for. Start one on the store's Recover page."
        )
    return Task(*row)


def _read_days(work: Work, legs: Sequence[Leg]) -> None:
    """Bring in every shipment of the lists; each gets a row of its own."""
    n_looked_at = 0
    with closing(walked_pages(work, legs)) as pages:
        for walked, page in pages:
            page = _within(page, walked.leg)
            n_looked_at += page.n_fetched
            with transaction():
                counts, brought = bring_in(work.importer, page, work.connected_at)
                keep_listed(work.task.recovery_id, brought)
                differences.close_recovered(work.store.store_id, brought)
                keep_place(work, walked)
                work.calls.write()
                work.run.check_in(
                    progress=f"{reading(walked.leg)}: {n_looked_at:,} shipments looked at.",
                    n_pages=1,
                    n_fetched=page.n_fetched,
                    **counts.as_dict(),
                )


def _within(page: ReadPage, leg: Leg) -> ReadPage:
    """Leave out what was made after the days asked for."""
    if leg.created_before is None:
        return page
    limit = leg.created_before
    kept = [item for item in page.shipments if item.shipment.created_at and item.shipment.created_at < limit]
    return ReadPage(kept, [], len(kept), page.request_ids)
