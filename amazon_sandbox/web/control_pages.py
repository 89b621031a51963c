"""The sandbox's own pages, for people: orders, faults, pace and clock, authorizations. They need no JavaScript."""

import json
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, flash, make_response, redirect, render_template, request, url_for

from amazon_sandbox.web import control_forms, guard
from amazon_sandbox.web.gate import config, world
from amazon_sandbox.world import accounts, odd
from amazon_sandbox.world.clock import iso
from amazon_sandbox.world.errors import ApiError
from amazon_sandbox.world.faults import DOCUMENT_OPERATIONS, KINDS, TOKEN_OPERATION
from amazon_sandbox.world.options import LABEL_FORMATS, PAGINGS, SEQUENCES
from amazon_sandbox.world.plans import OPERATIONS
from amazon_sandbox.world.returns import STATUSES as RETURN_STATUSES
from amazon_sandbox.world.returns import ReturnRequest, onward
from amazon_sandbox.world.shelf import OPEN_STATUSES, STATUSES, Record

PAGE_SIZE = 25
blueprint = Blueprint("control", __name__)
blueprint.before_request(guard.refuse_other_machines)
blueprint.before_request(guard.refuse_other_origins)
blueprint.add_app_template_filter(lambda ms: f"{iso(ms)[:10]} {iso(ms)[11:19]}", "utc")


@blueprint.get("/")
def orders() -> Response:
    """What the sandbox is, the form that creates orders, and the shipments there are."""
    return _orders_page()


@blueprint.post("/orders")
def create_orders() -> Response:
    """Creates the orders asked for."""

    def act() -> str:
        records = world().create_orders(control_forms.order_request(request.form))
        return f"Created {_counted(len(records), 'order')}. They wait to be fetched."

    return _done(act, "control.orders", lambda error: _orders_page(error, request.form))


@blueprint.get("/shipments/<shipment_id>")
def shipment(shipment_id: str) -> Response:
    """One shipment: what callers did to it, what can be done, and the text Amazon would answer."""
    return _shipment_page(shipment_id)


@blueprint.post("/shipments/<shipment_id>")
def act_on_shipment(shipment_id: str) -> Response:
    """Moves a shipment on, cancels it, changes its invoice's availability, or sends it back and the return on."""
    what, _, value = request.form.get("act", "").partition(":")

    def act() -> str:
        journey = world().journey
        if what == "cancel":
            journey.cancel(shipment_id)
            return f"Shipment {shipment_id} is cancelled, as if by its buyer."
        if what == "invoice":
            journey.set_invoice_status(shipment_id, value)
            return f"The invoice of {shipment_id} is {value} now."
        if what == "return":
            records = world().returns.create(ReturnRequest(shipment_id=shipment_id))
            return f"The buyer sends {shipment_id} back: {_counted(len(records), 'return')}."
        if what == "move_return":
            moved = world().returns.move(value, request.form.get(f"to-{value}", ""))
            return f"Return {value} is {moved.status} now."
        record = journey.move(shipment_id, value or request.form.get("status", ""))
        return f"Shipment {shipment_id} is {record.status} now."

    back = request.form.get("back", "")
    target = url_for(".orders") + back if back.startswith("?") else url_for(".shipment", shipment_id=shipment_id)
    return _done(act, target, lambda error: _shipment_page(shipment_id, error))


@blueprint.get("/faults")
def faults() -> Response:
    """The faults that are on, and the form that switches one on."""
    return _faults_page()


@blueprint.post("/faults")
def add_fault() -> Response:
    """Switches a fault on."""

    def act() -> str:
        kind, limits = control_forms.fault(request.form)
        return f"Switched on: {world().faults.add(kind, **limits).words}."

    return _done(act, "control.faults", lambda error: _faults_page(error, request.form))


@blueprint.post("/faults/off")
def faults_off() -> Response:
    """Switches one fault off, or all."""

    def act() -> str:
        number = request.form.get("fault_id", "")
        world().faults.clear(int(number) if number.isdecimal() else None)
        return "Switched the fault off." if number else "Switched all faults off."

    return _done(act, "control.faults", _faults_page)


@blueprint.get("/pace")
def pace() -> Response:
    """Usage plans, latency and other switches, the clock, and what callers did."""
    return _pace_page()


@blueprint.post("/pace/<what>")
def change_pace(what: str) -> Response:
    """Changes plans, options or the clock."""

    def act() -> str:
        if what == "plans":
            world().set_plans(control_forms.plans(request.form, OPERATIONS))
            return "The usage plans are changed; every bucket is full."
        if what == "options":
            world().set_options(control_forms.options(request.form))
            return "The switches are changed."
        world().set_options({"clock_shift_seconds": control_forms.shift(request.form, world().options)})
        return f"The sandbox's clock shows {iso(world().clock.now_ms())[:19].replace('T', ' ')} UTC."

    return _done(act, "control.pace", lambda error: _pace_page(error, request.form))


@blueprint.get("/authorizations")
def authorizations() -> Response:
    """The demo sellers, and which of them authorized the app."""
    return _authorizations_page()


@blueprint.post("/authorizations/revoke")
def revoke() -> Response:
    """Takes back a seller's authorization, or ends its access tokens only."""

    def act() -> str:
        account = accounts.BY_ID.get(request.form.get("seller_id", ""))
        if account is None:
            raise ValueError("Choose a seller of the list.")
        only_access = request.form.get("what") == "access"
        world().authorizations.revoke(account.selling_partner_id, only_access_tokens=only_access)
        if only_access:
            return f"The access tokens of {account.name} are ended; refresh tokens stay good."
        return f"{account.name} took its authorization back."

    return _done(act, "control.authorizations", _authorizations_page)


@blueprint.get("/reset")
def ask_reset() -> Response:
    """Asks whether to empty the sandbox."""
    return _page("control/reset.html", n_shipments=len(world().shelf), n_grants=world().authorizations.n_grants())


@blueprint.post("/reset")
def reset() -> Response:
    """Empties the sandbox."""
    world().reset()
    flash("The sandbox is empty. Apps must be authorized anew.")
    return redirect(url_for(".orders"), 303)


def _done(act: Callable[[], str], target: str, again: Callable[[str], Response]) -> Response:
    """Does it and goes on to `target` with a message, or shows the page again with what was wrong."""
    try:
        flash(act())
    except ValueError as error:
        return again(str(error))
    except ApiError as error:
        return again(error.details)
    return redirect(target if target.startswith("/") else url_for(target), 303)


def _page(template: str, *, error: str = "", **values: Any) -> Response:
    address = config().public_url or request.host_url.rstrip("/")
    n_faults = len(world().faults.all())
    page = render_template(template, config=config(), address=address, error=error, n_faults=n_faults, **values)
    return make_response(page, 400 if error else 200)


def _orders_page(error: str = "", form: Any = None) -> Response:
    given = {name: request.args.get(name, "").strip() for name in ("status", "location_id", "q")}
    found = [record for record in world().shelf.newest_first() if _is_shown(record, given)]
    last = max(1, -(-len(found) // PAGE_SIZE))
    asked = request.args.get("page", "1")
    page = min(max(1, int(asked) if asked.isdecimal() else 1), last)
    rows = found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    return _page(
        "control/orders.html",
        error=error,
        form=form or {},
        accounts=accounts.ACCOUNTS,
        locations=sorted({record.location_id for record in world().shelf.newest_first()}),
        statuses=STATUSES,
        odd_kinds={kind: KINDS[kind] for kind in odd.KINDS},
        given=given,
        rows=[_row(record) for record in rows],
        n_found=len(found),
        n_all=len(world().shelf),
        page=page,
        last=last,
        here="?" + request.query_string.decode("latin-1"),
    )


def _is_shown(record: Record, given: dict[str, str]) -> bool:
    return (
        given["status"] in ("", record.status)
        and given["location_id"] in ("", record.location_id)
        and given["q"].upper() in record.id
    )


def _row(record: Record) -> dict[str, Any]:
    body = record.shipment()
    account = accounts.BY_ID[record.seller_id]
    onward = None
    if record.status not in ("DELIVERED", "CANCELLED"):
        onward = STATUSES[STATUSES.index(record.status) + 1]
    return {
        "record": record,
        "account": account,
        "order_id": body["shipmentInfo"]["buyerOrderId"],
        "n_units": body["shipmentInfo"]["numberOfUnits"],
        "sku_codes": [line["merchantSku"] for line in body["lineItems"]],
        "onward": onward,
        "is_open": record.status in OPEN_STATUSES,
        "invoice_status": body["shipmentRequirements"]["invoice"].get("status"),
    }


def _shipment_page(shipment_id: str, error: str = "") -> Response:
    record = world().shelf.find(shipment_id)
    if record is None:
        return make_response(_page("control/no_shipment.html", shipment_id=shipment_id).get_data(), 404)
    later = [status for status in STATUSES[STATUSES.index(record.status) + 1 :] if status != "CANCELLED"]
    if record.status == "CANCELLED":
        later = []
    body = json.dumps(record.shipment(), indent=2, ensure_ascii=False)
    returns = [(one, one.told(), onward(one.status)) for one in world().returns.newest_first(shipment_id)]
    return _page(
        "control/shipment.html",
        error=error,
        row=_row(record),
        later=later,
        body=body,
        returns=returns,
        return_statuses=RETURN_STATUSES,
    )


def _authorizations_page(error: str = "") -> Response:
    n_grants = world().authorizations.n_grants()
    return _page("control/authorizations.html", error=error, accounts=accounts.ACCOUNTS, n_grants=n_grants)


def _faults_page(error: str = "", form: Any = None) -> Response:
    return _page(
        "control/faults.html",
        error=error,
        form=form or {},
        faults=world().faults.all(),
        kinds=KINDS,
        operations=(*OPERATIONS, *DOCUMENT_OPERATIONS, TOKEN_OPERATION),
    )


def _pace_page(error: str = "", form: Any = None) -> Response:
    return _page(
        "control/pace.html",
        error=error,
        form=form or {},
        plans=world().plans.current,
        options=world().options,
        choices={"label_format": LABEL_FORMATS, "paging": PAGINGS, "inventory_sequence": SEQUENCES},
        now=world().clock.now_ms(),
        stats=world().stats.as_json(),
    )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
