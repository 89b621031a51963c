"""Runs in which Amazon took nothing: it let us in, and refused every item or gave no answer to it."""

from sqlalchemy import or_, select

from flexdash.extensions import db
from flexdash.models import ItemOutcome, RunState, SyncRun, SyncRunItem
from flexdash.services import runs_of_sync
from flexdash.services.syncs import FACTS
from flexdash.services.words import shortened

CODE = "all_refused"  # the error code of such a run
FEW = 5  # so many refusals say nothing of a store whose other items stand in good order


def why_not_good(run: SyncRun) -> str:
    """Return the sentence that says that Amazon took nothing of what the run sent; "" when that is not so.

    A run with nothing to send is good, and so is one in which only some items failed. What Amazon refused before goes
    again with every push: where a run sent nothing but that, the run before, in which Amazon took the rest, still says
    how things stand. A retry takes up failed items only, and says nothing of the sync.
    """
    facts = FACTS[run.sync]
    if not facts.taken or not run.n_failed or run.retry_of_id is not None:
        return ""
    if any(getattr(run, count) for count in facts.taken):
        return ""
    if run.n_failed < FEW and run.n_skipped > run.n_failed:
        # Amazon took those that it skipped: that a quiet hour had nothing to send but a bad one is no fault of theirs.
        return ""
    if facts.sends_refused_again and _had_no_more_to_say(run):
        return ""
    what = "the one item" if run.n_failed == 1 else f"any of the {run.n_failed:,} items"
    return f"Amazon did not take {what} that this run sent.{_example(run)}"


def _had_no_more_to_say(run: SyncRun) -> bool:
    """Say whether the last run that reached Amazon was a good one, and as many items were refused in it already."""
    before = (
        select(SyncRun.state, SyncRun.n_failed)
        .where(
            runs_of_sync.of(run.store_id, run.sync),
            SyncRun.id < run.id,
            SyncRun.retry_of_id.is_(None),
            SyncRun.state != RunState.SKIPPED,
            or_(SyncRun.state != RunState.FAILED, SyncRun.error_code == CODE),
        )
        .order_by(*runs_of_sync.newest_first())
        .limit(1)
    )
    found = db.session.execute(before).one_or_none()
    return found is not None and found.state is RunState.PARTIAL and found.n_failed >= run.n_failed


def _example(run: SyncRun) -> str:
    """Return why one of them was refused, with Amazon's words and what to do, where Amazon said so."""
    of_run = (SyncRunItem.run_id == run.id, SyncRunItem.outcome == ItemOutcome.REFUSED)
    item = db.session.scalars(select(SyncRunItem).where(*of_run).order_by(SyncRunItem.id).limit(1)).one_or_none()
    if item is None:
        return " It gave no answer."
    name = f" {item.sku_code}:" if item.sku_code else ""
    return f"{name} {shortened(item.reason, 300).rstrip('.')}. {shortened(item.remedy, 200)}".rstrip()
