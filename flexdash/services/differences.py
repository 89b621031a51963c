"""The rows of differences: noted when a run sees them, closed when they are gone. Inside the caller's transaction."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, select, update

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import Difference, DifferenceKind, ItemFate
from flexdash.services import run_sheets
from flexdash.services.contradictions import NOT_TOLD_AFTER, contradict
from flexdash.services.recovery_outcomes import Brought
from flexdash.services.words import shortened

# Here a change of either side makes another difference of it, which a person has not closed yet.
_CHANGES_MATTER = (DifferenceKind.STATE_DIFFERS, DifferenceKind.STOCK_DIFFERS)
_LONG = NOT_TOLD_AFTER  # long enough for nothing to be in flight
_NO_SYNC = {"synchronize_session": False}


@dataclass(frozen=True)
class Finding:
    """A difference as a run sees it. `here` and `there` are words for people."""

    kind: DifferenceKind
    subject: str
    here: str = ""
    there: str = ""
    order_id: int | None = None
    seller_flex_hub_id: str = ""

    @property
    def key(self) -> tuple[DifferenceKind, str, str]:
        """What makes it the same difference as one seen before."""
        return self.kind, self.subject, self.seller_flex_hub_id


def note(workspace_id: int, store_id: int, run_id: int, findings: Sequence[Finding]) -> int:
    """Write what the run saw, and return how many of it are new: never seen, or gone in between.

    What a person closed stays closed while it is as it was; what was gone and is back is open again.
    """
    n_new, now = 0, clock.now()
    rows = _rows(store_id, findings)
    for finding in {finding.key: finding for finding in findings}.values():
        row = rows.get(finding.key)
        if row is None:
            row = Difference(
                workspace_id=workspace_id,
                store_id=store_id,
                kind=finding.kind,
                subject=finding.subject,
                seller_flex_hub_id=finding.seller_flex_hub_id,
                first_seen_at=now,
            )
            db.session.add(row)
            n_new += 1
        elif row.closed_at is not None and _is_another(row, finding):
            row.closed_at, row.closed_by_name, row.first_seen_at = None, "", now
            n_new += 1
        row.here, row.there = shortened(finding.here, 100), shortened(finding.there, 100)
        row.order_id, row.run_id, row.last_seen_at, row.gone_at = finding.order_id, run_id, now, None
    db.session.flush()
    seen = (
        run_sheets.Item(
            ItemFate.DIFFERS,
            finding.subject,
            place=finding.seller_flex_hub_id,
            words=f"Here: {finding.here or 'nothing'}. Amazon: {finding.there or 'nothing'}.",
        )
        for finding in findings
    )
    run_sheets.keep(run_id, seen, store_id)
    return n_new


def known_among(store_id: int, findings: Sequence[Finding]) -> set[tuple[DifferenceKind, str, str]]:
    """Return the keys of those findings that are no news: seen by an earlier run, and as they were then."""
    rows = _rows(store_id, findings)
    return {
        finding.key
        for finding in findings
        if (row := rows.get(finding.key)) is not None and row.gone_at is None and not _has_changed(row, finding)
    }


def close_gone(store_id: int, run_id: int, kinds: Collection[DifferenceKind]) -> int:
    """Close what was open and the run did not see, of the kinds it compared to the end; return how many."""
    unseen = and_(
        Difference.store_id == store_id,
        Difference.kind.in_(kinds),
        Difference.run_id != run_id,
        Difference.gone_at.is_(None),
    )
    return _go(unseen)


def keep(store_id: int, run_id: int, subjects: Iterable[tuple[DifferenceKind, str, str]]) -> None:
    """Leave these as they are: the run could not look at them again."""
    for kind, subject, seller_flex_hub_id in subjects:
        db.session.execute(
            update(Difference)
            .where(
                Difference.store_id == store_id,
                Difference.kind == kind,
                Difference.subject == subject,
                Difference.seller_flex_hub_id == seller_flex_hub_id,
            )
            .values(run_id=run_id),
            execution_options=_NO_SYNC,
        )


def close_recovered(store_id: int, brought: Sequence[Brought]) -> int:
    """Close the differences that a recovery has mended: the order is here now, or says what Amazon says."""
    here = [one for one in brought if one.order_id is not None and one.order_state is not None]
    alike = [one.amazon_shipment_id for one in here if one.amazon_status and _agrees(one)]
    n_closed = 0
    for kind, subjects in (
        (DifferenceKind.MISSING_HERE, [one.amazon_shipment_id for one in here]),
        (DifferenceKind.MISSING_THERE, [one.amazon_shipment_id for one in here if one.amazon_status]),
        (DifferenceKind.STATE_DIFFERS, alike),
    ):
        if subjects:
            mended = and_(
                Difference.store_id == store_id,
                Difference.kind == kind,
                Difference.subject.in_(subjects),
                Difference.gone_at.is_(None),
            )
            n_closed += _go(mended)
    return n_closed


def _agrees(one: Brought) -> bool:
    return one.order_state is not None and not contradict(
        one.order_state,
        one.amazon_status,
        unchanged_here=NOT_TOLD_AFTER,
        unchanged_there=NOT_TOLD_AFTER,
        is_conflict_known=one.has_conflict,
    )


def _go(condition: ColumnElement[bool]) -> int:
    now = clock.now()
    db.session.execute(
        update(Difference).where(condition, Difference.closed_at.is_not(None)).values(gone_at=now),
        execution_options=_NO_SYNC,
    )
    closed = db.session.execute(
        update(Difference)
        .where(condition, Difference.closed_at.is_(None))
        .values(gone_at=now, closed_at=now, closed_by_name=""),
        execution_options=_NO_SYNC,
    )
    return closed.rowcount  # type: ignore[attr-defined]


def _rows(store_id: int, findings: Sequence[Finding]) -> dict[tuple[Any, ...], Difference]:
    if not findings:
        return {}
    query = (
        select(Difference)
        .where(
            Difference.store_id == store_id,
            Difference.kind.in_({finding.kind for finding in findings}),
            Difference.subject.in_({finding.subject for finding in findings}),
        )
        .order_by(Difference.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return {(row.kind, row.subject, row.seller_flex_hub_id): row for row in db.session.scalars(query)}


def _is_another(row: Difference, finding: Finding) -> bool:
    return row.gone_at is not None or (finding.kind in _CHANGES_MATTER and _has_changed(row, finding))


def _has_changed(row: Difference, finding: Finding) -> bool:
    return finding.kind in _CHANGES_MATTER and (row.here, row.there) != (finding.here, finding.there)
