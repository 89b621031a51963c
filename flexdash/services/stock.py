"""Changing stock: from a file, and by hand. What orders do to it is in `order_stock`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from flexdash import clock
from flexdash.database import one_of, transaction
from flexdash.extensions import db
from flexdash.models import Hub, Seller, Sku, StockCause, StockLevel, StockMode, StockMovement, Upload
from flexdash.services import access
from flexdash.services.actors import Actor, Permission
from flexdash.services.catalog_values import MAX_QUANTITY, BadValue, clean_quantity, clean_sku_code
from flexdash.services.errors import ChangedMeanwhile, FieldRefused, NotAllowed
from flexdash.services.stock_ledger import MAX_NOTE, Ledger, Level
from flexdash.services.words import one_line, quoted

_AT_A_TIME = 5_000


class Way(StrEnum):
    """How a person changes what is on hand."""

    SET = "set"  # it was counted
    ADD = "add"  # it came in
    REMOVE = "remove"  # it is gone: broken, lost, sold elsewhere


@dataclass(frozen=True, slots=True)
class UploadedQuantity:
    """A row of a stock file: so many units of a SKU in a hub of the workspace. The quantity is not negative.

    `seen` is what was on hand when the file was checked; None where that was not kept yet.
    """

    row_number: int
    hub_id: int
    sku_code: str
    quantity: int
    seen: int | None


def apply_uploaded(session: Session, upload: Upload, rows: Sequence[UploadedQuantity]) -> list[tuple[int, str]]:
    """Write the rows of a stock file, inside the caller's transaction; return (row number, reason) of those refused.

    `upload.stock_mode` says whether the quantities are set or added. SKUs that the seller did not have become theirs.
    A row that changes nothing leaves no trace in the ledger. After the commit the caller lets go what waited for the
    stock with `order_holds.release_for_seller`.

    The quantities to set were counted before the check. Where orders shipped units since, these are taken off them:
    setting the numbers as they are would sell those units again. A row whose stock was changed by anything else since
    is refused, for nobody knows which of the two numbers is right.
    """
    ledger = Ledger(upload.workspace_id, upload.seller_id)
    ledger.hold(((row.hub_id, row.sku_code) for row in rows), make_missing=True)
    add_missing_skus(session, upload.workspace_id, upload.seller_id, {row.sku_code: "" for row in rows})
    refused = []
    actor_name = upload.applied_by_name or upload.uploaded_by_name
    shipped = _shipped_since_check(session, upload, ledger, rows) if upload.stock_mode is StockMode.SET else {}
    for row in rows:
        level = ledger.level(row.hub_id, row.sku_code)
        if level is None:
            raise RuntimeError(f"stock level of hub {row.hub_id} vanished while it was held")
        note = ""
        if upload.stock_mode is StockMode.ADD:
            change = row.quantity
        elif row.seen is None or level.on_hand == row.seen:
            change = row.quantity - level.on_hand
        elif n_shipped := shipped.get(level.id):
            change = max(0, row.quantity - n_shipped) - level.on_hand
            note = f"{row.quantity:,} in the file, less {n_shipped:,} shipped since it was checked."
        else:
            refused.append((row.row_number, _changed_meanwhile(row.seen, level.on_hand)))
            continue
        if reason := why_not(level, change):
            refused.append((row.row_number, reason))
        elif change:
            ledger.change(
                level, StockCause.UPLOAD, on_hand=change, upload_id=upload.id, actor_name=actor_name, note=note
            )
    ledger.write()
    return refused


def _shipped_since_check(
    session: Session, upload: Upload, ledger: Ledger, rows: Sequence[UploadedQuantity]
) -> dict[int, int]:
    """Return by level how many units orders shipped since the check, where nothing else changed what is on hand."""
    seen = {
        level.id: row.seen
        for row in rows
        if row.seen is not None
        and (level := ledger.level(row.hub_id, row.sku_code)) is not None
        and level.on_hand != row.seen
    }
    found: dict[int, int] = {}
    ids = sorted(seen)
    for start in range(0, len(ids), _AT_A_TIME):
        # The check came after the file: from the newest row of the ledger back to the number it saw.
        movements = (
            select(
                StockMovement.stock_level_id,
                StockMovement.cause,
                StockMovement.on_hand_change,
                StockMovement.on_hand_after,
            )
            .where(
                one_of(StockMovement.stock_level_id, ids[start : start + _AT_A_TIME]),
                StockMovement.occurred_at >= upload.uploaded_at,
                StockMovement.on_hand_change != 0,
            )
            .order_by(StockMovement.id.desc())
        )
        n_units: Counter[int] = Counter()
        for level_id, cause, by, after in session.execute(movements):
            if level_id not in seen:
                continue
            n_units[level_id] -= by
            if cause is not StockCause.SHIPMENT:
                del seen[level_id]
            elif after - by == seen[level_id]:
                found[level_id] = n_units[level_id]
                del seen[level_id]
    return found


def _changed_meanwhile(seen: int, now: int) -> str:
    return (
        f"Changed meanwhile: {seen:,} were on hand when the file was checked, and {now:,} are now. Check the number, "
        "and upload the row again if it is still right."
    )


def change(actor: Actor, level_id: int, way: Way, quantity: str, *, seen: int, note: str = "") -> StockLevel:
    """Change by hand what is on hand of a SKU in a hub, with a ledger row; return the level.

    What was counted is a correction in the ledger; what came in or is gone is an edit.
    `seen` is what was on hand when the form was made. After the commit the caller lets go what waited for the stock
    with `order_holds.release_for_seller`. Raises NotVisible, NotAllowed, ChangedMeanwhile, and FieldRefused for
    `quantity` and `note`.
    """
    _check_may(actor)
    units, note = _units(quantity), clean_note(note)
    with transaction():
        level = access.get(actor, StockLevel, level_id, lock=True)
        ledger, held = _held(level)
        if held.on_hand != seen:
            raise ChangedMeanwhile(
                f"Someone changed it meanwhile: it is {held.on_hand:,} now. It was {seen:,} when this page was opened. "
                "Nothing of yours was saved. Check the number, then save again if you still want your change."
            )
        difference = {Way.SET: units - held.on_hand, Way.ADD: units, Way.REMOVE: -units}[way]
        cause = StockCause.CORRECTION if way is Way.SET else StockCause.EDIT
        _change_by_hand(ledger, held, difference, actor, note, cause, is_removal=way is Way.REMOVE)
    return level


def add(actor: Actor, seller_id: int, hub_id: int, sku_code: str, quantity: str, *, note: str = "") -> StockLevel:
    """Put a SKU of a seller into a hub where it never was, by hand; return the level. The seller has the SKU then.

    After the commit the caller lets go what waited for it, as after `change`. Raises NotVisible, NotAllowed, and
    FieldRefused for `sku_code` (no code, or there already), `quantity` and `note`.
    """
    _check_may(actor)
    try:
        code = clean_sku_code(sku_code)
    except BadValue as refusal:
        raise FieldRefused("sku_code", refusal.sentence) from refusal
    units, note = _units(quantity), clean_note(note)
    with transaction() as session:
        seller, hub = access.get(actor, Seller, seller_id), access.get(actor, Hub, hub_id)
        of_this = select(StockLevel).where(
            StockLevel.hub_id == hub.id, StockLevel.seller_id == seller.id, StockLevel.sku_code == code
        )
        if session.scalars(of_this).one_or_none():
            raise _there_already(code, seller, hub)
        ledger = Ledger(actor.workspace_id, seller.id)
        ledger.hold([(hub.id, code)], make_missing=True)
        add_missing_skus(session, actor.workspace_id, seller.id, {code: ""})
        held = ledger.level(hub.id, code)
        if held is None or held.on_hand:
            raise _there_already(code, seller, hub)  # somebody added it at the same moment
        _change_by_hand(ledger, held, units, actor, note, StockCause.EDIT)
        return session.scalars(of_this).one()


def _there_already(sku_code: str, seller: Seller, hub: Hub) -> FieldRefused:
    return FieldRefused(
        "sku_code",
        f"{quoted(sku_code)} of {seller.name} is at {hub.name} already. Search for it on the Stock page and change it "
        "there.",
    )


def _check_may(actor: Actor) -> None:
    if not actor.may(Permission.MANAGE_STOCK):
        raise NotAllowed("Your role does not include changing stock. Ask a merchant or an admin.")


def _units(quantity: str) -> int:
    try:
        return clean_quantity(quantity)
    except BadValue as refusal:
        raise FieldRefused("quantity", refusal.sentence) from refusal


def clean_note(note: str) -> str:
    """Return a note as the ledger keeps it, on one line; raise FieldRefused for `note` when it is too long."""
    note = one_line(note)
    if len(note) > MAX_NOTE:
        raise FieldRefused("note", f"The note has {len(note):,} characters. Shorten it to {MAX_NOTE} or fewer.")
    return note


def _held(level: StockLevel) -> tuple[Ledger, Level]:
    ledger = Ledger(level.workspace_id, level.seller_id)
    ledger.hold([(level.hub_id, level.sku_code)])
    held = ledger.level(level.hub_id, level.sku_code)
    if held is None:
        raise RuntimeError(f"stock level {level.id} vanished while it was held")
    return ledger, held


def _change_by_hand(
    ledger: Ledger,
    held: Level,
    difference: int,
    actor: Actor,
    note: str,
    cause: StockCause,
    *,
    is_removal: bool = False,
) -> None:
    if is_removal and -difference > held.on_hand:
        raise FieldRefused(
            "quantity", f"{-difference:,} cannot be removed: only {held.on_hand:,} are on hand. Check the number."
        )
    if reason := why_not(held, difference):
        raise FieldRefused("quantity", reason)
    if difference:
        ledger.change(held, cause, on_hand=difference, actor_name=actor.name, note=note)
        ledger.write()


def why_not(level: Level, change: int) -> str:
    """Return the sentence that refuses changing what is on hand by `change` units, or "" when it may be."""
    on_hand = level.on_hand + change
    if on_hand > MAX_QUANTITY:
        return f"It would come to {on_hand:,} units in one hub. The most is {MAX_QUANTITY:,}: check the number."
    if on_hand < level.reserved:
        units = "1 unit is" if level.reserved == 1 else f"{level.reserved:,} units are"
        return (
            f"{units} reserved for orders, so the stock cannot be less than {level.reserved:,}. "
            f"Set it to {level.reserved:,} to sell no more."
        )
    return ""


def add_missing_skus(session: Session, workspace_id: int, seller_id: int, names: dict[str, str]) -> None:
    """Add those SKUs of `names` (name by code) that the seller does not have yet; without a name it is the code."""
    codes = sorted(names)
    missing: list[str] = []
    for start in range(0, len(codes), _AT_A_TIME):
        part = codes[start : start + _AT_A_TIME]
        known = set(session.scalars(select(Sku.sku_code).where(Sku.seller_id == seller_id, one_of(Sku.sku_code, part))))
        missing += [code for code in part if code not in known]
    if not missing:
        return
    dialect = postgresql if db.engine.dialect.name == "postgresql" else sqlite
    now = clock.now()
    session.connection().execute(
        dialect.insert(Sku.__table__).on_conflict_do_nothing(),
        [
            {
                "workspace_id": workspace_id,
                "seller_id": seller_id,
                "sku_code": code,
                "name": names[code] or code,
                "created_at": now,
            }
            for code in missing
        ],
    )
