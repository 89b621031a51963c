"""The brake for mass zeros: a push that would zero more than the store allows waits for a person.

A stock file with a wrong column, or a hub mapped before its stock is here, would otherwise take a whole catalog off
sale. Two shares are looked at, and the store allows as much of either: of what Amazon shows with stock, how much goes
to zero; and of the SKUs at a hub, how many go to zero of which nobody knows what Amazon shows, because it was neither
told nor asked. The second is counted against the whole catalog: a few new SKUs without stock are everyday business.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select

from flexdash import clock
from flexdash.database import release_connection, transaction
from flexdash.extensions import db
from flexdash.models import BrakeState, Section, Store, Sync, SyncState, ZeroBrake
from flexdash.services import access, config_log
from flexdash.services.actors import Actor, Permission
from flexdash.services.errors import ChangedMeanwhile, NotAllowed, ServiceError
from flexdash.services.inventory.plan import Plan, n_shown_with_stock
from flexdash.services.run_context import RunContext, RunSkipped
from flexdash.services.words import listed

LEAST = 5  # fewer zeros than this are everyday business whatever their share
_HUBS_NAMED = 3  # in a sentence
OPEN = (BrakeState.WAITING, BrakeState.APPROVED)


def are_too_many(n: int, of: int, percent: int) -> bool:
    """Say whether `n` zeros of so many quantities are more than the share that a store lets go without asking."""
    return n >= LEAST and n * 100 > percent * of


class TooManyZeros(Exception):
    """While the push was under way, more went to zero than it may set without asking; roll back."""


class Zeros:
    """How many quantities a push may still set to zero beyond what its plan counted, without asking anybody."""

    def __init__(self, plan: Plan, n_approved: int = 0) -> None:
        self._plan, self._n_approved = plan, n_approved
        self._n_taken = 0
        self._n_free: int | None = None
        self.are_used_up = False

    def take(self, n_more: int) -> None:
        """Count zeros that the plan did not know of. Raises TooManyZeros, and `are_used_up` from then on."""
        self._n_taken += max(0, n_more)
        if self._plan.n_shown_to_zero + self._n_taken < LEAST:
            return
        if self._n_free is None:
            n_allowed = n_shown_with_stock(self._plan) * self._plan.store.zero_brake_percent // 100
            n_free = max(n_allowed, LEAST - 1) - self._plan.n_shown_to_zero
            self._n_free = max(n_free, self._n_approved - self._plan.n_to_zero)
        if self._n_taken > self._n_free:
            self.are_used_up = True
            raise TooManyZeros


def check(run: RunContext, plan: Plan) -> Zeros:
    """Let the push with this plan through, or hold it back.

    Returns what it may set to zero. Raises RunSkipped, with a waiting ZeroBrake kept, when a person has to decide. An
    approval is used up by the first push it lets through; a brake that the stock no longer calls for is closed.
    """
    n_shown = n_shown_with_stock(plan) if plan.n_to_zero >= LEAST else 0
    reasons = _reasons(plan, n_shown)
    is_over = bool(reasons)
    if plan.retry_of_id is not None:
        _wait_with_the_whole(plan, is_over)
    with transaction() as session:
        store = session.get_one(Store, plan.store.store_id)
        brake = _open(store.id, is_locked=True)
        run.check_in()
        if not is_over:
            if brake is not None:
                _close(store, brake, BrakeState.OVER, "the stock has changed, so that there is nothing left to decide")
            return Zeros(plan)
        used = _used_by(run.run_id)
        if used is not None and plan.n_to_zero <= used.n_to_zero:  # an earlier attempt of the run came this far
            return Zeros(plan, plan.n_to_zero)  # what it zeroed already is no allowance for others
        if brake is not None and brake.state is BrakeState.APPROVED:
            if plan.n_to_zero <= brake.n_to_zero:
                _use(store, brake, run)
                return Zeros(plan, brake.n_to_zero)
            more = f"{plan.n_to_zero:,} quantities would go to zero by now, more than the approved {brake.n_to_zero:,}"
            _close(store, brake, BrakeState.OVER, more)
            brake = None
        sentence = _hold_back(store, brake, run, plan, n_shown, reasons)
    raise RunSkipped(sentence)


def _reasons(plan: Plan, n_shown: int) -> list[str]:
    """Return the sentences that say why a person has to decide; none when the push may go."""
    percent, name, reasons = plan.store.zero_brake_percent, plan.store.name, []
    if are_too_many(plan.n_shown_to_zero, n_shown, percent):
        reasons.append(
            f"This push would set {plan.n_shown_to_zero:,} of the {n_shown:,} quantities that Amazon shows with stock "
            f"to zero, more than the {percent} % that {name} lets go without asking."
        )
    unknown = [
        f"{n:,} of the {plan.n_listings:,} SKUs at {plan.locations[index].hub_name}"
        for index, n in sorted(plan.unknown_to_zero.items())
        if are_too_many(n, plan.n_listings, percent)
    ]
    if unknown:
        what = listed([*unknown[:_HUBS_NAMED], *(["more hubs"] if len(unknown) > _HUBS_NAMED else [])])
        reasons.append(
            f"This push would send 0 for {what}, more than the {percent} % that {name} lets go without asking: Amazon "
            "was never told of them there, nor asked what it shows, and may be selling them."
        )
    return reasons


def _wait_with_the_whole(plan: Plan, is_over: bool) -> None:
    """Raise RunSkipped for a push of a few refused lines while a person has to decide about the whole stock.

    What these few would set to zero says nothing of the rest: they neither close a brake nor use an approval up.
    """
    store_id = plan.store.store_id
    is_braked = is_over or _open(store_id) is not None or standing_refusal(store_id) is not None
    release_connection()
    if is_braked:
        raise RunSkipped(
            "These few quantities were not sent on their own: a push that would set many to zero waits for a person or "
            "for the next Inventory Sync. They go with that."
        )


def current(store: Store) -> ZeroBrake | None:
    """Return the store's brake that waits for a person, or is approved and not used yet."""
    return _open(store.id)


def standing_refusal(store_id: int) -> ZeroBrake | None:
    """Return the declined brake that still holds pushes back: none has gone through since."""
    last_success_at = db.session.scalar(
        select(SyncState.last_success_at).where(SyncState.store_id == store_id, SyncState.sync == Sync.INVENTORY_PUSH)
    )
    newest = db.session.scalars(
        select(ZeroBrake).where(ZeroBrake.store_id == store_id).order_by(ZeroBrake.id.desc()).limit(1)
    ).one_or_none()
    return newest if newest is not None and _still_refuses(newest, last_success_at) else None


def holding(store: Store) -> ZeroBrake | None:
    """Return the brake that holds the store's pushes back now: waiting, or declined and still standing."""
    brake = _open(store.id) or standing_refusal(store.id)
    return brake if brake is not None and brake.state is not BrakeState.APPROVED else None


def holding_each(store_ids: Sequence[int]) -> dict[int, ZeroBrake]:
    """Return what `holding` returns of each of these stores, by store id, in three queries at most."""
    own = ZeroBrake.store_id.in_(store_ids)
    newest_ids = select(func.max(ZeroBrake.id)).where(own).group_by(ZeroBrake.store_id)
    newest = db.session.scalars(select(ZeroBrake).where(ZeroBrake.id.in_(newest_ids))).all()
    if not newest:
        return {}
    pushed = select(SyncState.store_id, SyncState.last_success_at).where(
        SyncState.store_id.in_(store_ids), SyncState.sync == Sync.INVENTORY_PUSH
    )
    last_success = dict(db.session.execute(pushed).all())
    held = {brake.store_id: brake for brake in newest if _still_refuses(brake, last_success.get(brake.store_id))}
    for brake in db.session.scalars(select(ZeroBrake).where(own, ZeroBrake.state.in_(OPEN))):
        held[brake.store_id] = brake  # an open one comes before one that was declined
    return {store_id: brake for store_id, brake in held.items() if brake.state is not BrakeState.APPROVED}


def approve(actor: Actor, brake_id: int, *, n_to_zero: int, reason: str = "") -> ZeroBrake:
    """Let the next push set at most `n_to_zero` quantities, as the person saw them, to zero; logged.

    A declined brake can be approved after all while it still holds pushes back. Raises NotVisible, NotAllowed,
    FieldRefused for `reason`, ChangedMeanwhile when the numbers are others by now, and ServiceError when the brake is
    over.
    """
    return _decide(actor, brake_id, n_to_zero, BrakeState.APPROVED, reason)


def decline(actor: Actor, brake_id: int, *, n_to_zero: int, reason: str = "") -> ZeroBrake:
    """Keep holding pushes back until the stock is put right or somebody approves after all; logged.

    Raises as `approve` does.
    """
    return _decide(actor, brake_id, n_to_zero, BrakeState.DECLINED, reason)


def approve_beforehand(actor: Actor, store: Store, *, n_to_zero: int, n_published: int, n_unknown: int) -> None:
    """Keep the approval of a person who saw what the next push would set to zero before there was a push; logged.

    Inside the caller's transaction, which holds the store. The numbers are those of ZeroBrake. Nothing is kept where a
    push waits already, and for whom may not decide: then the push asks.
    """
    if not actor.may(Permission.MANAGE_STOCK) or _open(store.id) is not None:
        return
    brake = ZeroBrake(
        workspace_id=store.workspace_id,
        store_id=store.id,
        state=BrakeState.APPROVED,
        n_to_zero=n_to_zero,
        n_published=n_published,
        n_unknown=n_unknown,
        decided_at=clock.now(),
        decided_by_name=actor.name,
    )
    db.session.add(brake)
    db.session.flush()
    _log_decision(actor, store, brake, {})


def forget_approval(store: Store, why: str) -> None:
    """Close the approval that no push has used yet, logged; inside the caller's transaction, which holds the store."""
    brake = _open(store.id, is_locked=True)
    if brake is not None and brake.state is BrakeState.APPROVED:
        _close(store, brake, BrakeState.OVER, why)


def _still_refuses(newest: ZeroBrake, last_success_at: datetime | None) -> bool:
    """Say whether a store's newest brake was declined and no push has gone through since."""
    if newest.state is not BrakeState.DECLINED or newest.decided_at is None:
        return False
    return last_success_at is None or newest.decided_at > last_success_at


def _decide(actor: Actor, brake_id: int, n_to_zero: int, state: BrakeState, reason: str) -> ZeroBrake:
    if not actor.may(Permission.MANAGE_STOCK):
        raise NotAllowed("Your role does not include deciding about stock. Ask a merchant or an admin.")
    reason = config_log.clean_reason(reason)
    with transaction():
        brake = access.get(actor, ZeroBrake, brake_id, lock=True)
        store = brake.store
        may_decide = brake.state is BrakeState.WAITING or (
            brake.state is BrakeState.DECLINED and brake is standing_refusal(store.id)
        )
        if not may_decide or brake.state is state:
            raise ServiceError(f"There is nothing to decide any more: {_told(brake)}.")
        if brake.n_to_zero != n_to_zero:
            raise ChangedMeanwhile(
                f"While the page was open the stock changed: {brake.n_to_zero:,} quantities would go to zero now, and "
                f"not {n_to_zero:,}. Nothing was decided; look at the list again."
            )
        old = brake.state
        brake.state, brake.decided_at, brake.decided_by_name = state, clock.now(), actor.name
        db.session.flush()
        _log_decision(actor, store, brake, {"zero_brake": old.value}, reason)
        return brake


def _log_decision(actor: Actor, store: Store, brake: ZeroBrake, old: dict[str, str], reason: str = "") -> None:
    what = f"{brake.n_to_zero:,} of {brake.n_published:,} quantities to zero on Amazon for {store.name}"
    said = "approved setting" if brake.state is BrakeState.APPROVED else "declined to set"
    config_log.record(
        actor,
        Section.SETTINGS,
        f"{actor.name} {said} {what}",
        store=store,
        old=old,
        new={"zero_brake": brake.state.value},
        reason=reason,
    )


def _hold_back(
    store: Store, brake: ZeroBrake | None, run: RunContext, plan: Plan, n_shown: int, reasons: Sequence[str]
) -> str:
    """Keep that the push waits, and return the sentence its run ends with."""
    what = " ".join([*reasons, "Nothing was sent."])
    declined = standing_refusal(store.id) if brake is None else None
    if declined is not None and plan.n_to_zero <= declined.n_to_zero:
        return (
            f"{what} {declined.decided_by_name} declined it, so pushes wait until the stock is put right, or "
            "somebody approves it after all on the store's Inventory tab."
        )
    is_new = brake is None
    if brake is None:
        brake = ZeroBrake(workspace_id=store.workspace_id, store_id=store.id, n_to_zero=0, n_published=0)
        db.session.add(brake)
    brake.run_id, brake.n_to_zero, brake.n_unknown = run.run_id, plan.n_to_zero, plan.unknown_to_zero.total()
    brake.n_published = n_shown + plan.n_unknown
    db.session.flush()
    if is_new:
        config_log.record(
            Actor.system(store.workspace_id),
            Section.SETTINGS,
            f"FlexDash held back a push of {store.name}: it would set {brake.n_to_zero:,} of {brake.n_published:,} "
            "quantities to zero on Amazon",
            store=store,
            new={"zero_brake": BrakeState.WAITING.value, "quantities_to_zero": plan.n_to_zero},
        )
    ask = " Fetch Amazon's numbers first to see what that would change." if brake.n_unknown else ""
    return (
        f"{what} It waits for somebody to look at the list and approve or decline it, on the store's Inventory "
        f"tab.{ask}"
    )


def _use(store: Store, brake: ZeroBrake, run: RunContext) -> None:
    brake.state, brake.run_id = BrakeState.USED, run.run_id
    db.session.flush()
    config_log.record(
        Actor.system(store.workspace_id),
        Section.SETTINGS,
        f"FlexDash let the push of {store.name} through that {brake.decided_by_name} had approved, with run "
        f"{run.run_id}",
        store=store,
        old={"zero_brake": BrakeState.APPROVED.value},
        new={"zero_brake": BrakeState.USED.value},
    )


def _close(store: Store, brake: ZeroBrake, state: BrakeState, why: str) -> None:
    old, brake.state = brake.state, state
    db.session.flush()
    config_log.record(
        Actor.system(store.workspace_id),
        Section.SETTINGS,
        f"FlexDash closed the held-back push of {store.name}: {why}",
        store=store,
        old={"zero_brake": old.value},
        new={"zero_brake": state.value},
    )


def _told(brake: ZeroBrake) -> str:
    """Return what became of the brake, for the middle of a sentence."""
    match brake.state:
        case BrakeState.APPROVED:
            return f"{brake.decided_by_name} approved it, and the next push goes through"
        case BrakeState.USED:
            return f"{brake.decided_by_name} approved it, and a push went through with it"
        case BrakeState.DECLINED:
            return f"{brake.decided_by_name} declined it"
        case _:
            return "the stock has changed, and the push is not held back any more"


def _open(store_id: int, *, is_locked: bool = False) -> ZeroBrake | None:
    query = select(ZeroBrake).where(ZeroBrake.store_id == store_id, ZeroBrake.state.in_(OPEN))
    if is_locked:
        query = query.with_for_update(key_share=True)
    return db.session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def _used_by(run_id: int) -> ZeroBrake | None:
    query = select(ZeroBrake).where(ZeroBrake.run_id == run_id, ZeroBrake.state == BrakeState.USED)
    return db.session.scalars(query.order_by(ZeroBrake.id.desc()).limit(1)).one_or_none()
