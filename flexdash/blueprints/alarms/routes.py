"""The alarms: the list, one alarm, and saying that one is on it."""

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from flexdash.blueprints.alarms import blueprint, house
from flexdash.blueprints.alarms.forms import FilterForm
from flexdash.blueprints.fields import chosen
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import keyset_page
from flexdash.extensions import db
from flexdash.models import Alarm, Store
from flexdash.services import access
from flexdash.services.actors import Permission
from flexdash.services.alarms import queue_load, reading
from flexdash.services.alarms.kinds import KINDS
from flexdash.services.alarms.reading import AlarmFilters
from flexdash.services.errors import ServiceError

PAST_SHOWN = 10


@blueprint.get("")
@requires(Permission.VIEW)
def index() -> str:
    """Show the open alarms, the worst first, and below them the newest past ones; or only the past ones."""
    actor = current_actor()
    form = FilterForm(request.args, db.session.scalars(access.visible(actor, Store).order_by(Store.name)))
    filters, is_past = form.filters(), form.is_about_past
    order = reading.order_of(is_past=is_past, by_age=chosen(form.sort))
    page = keyset_page(reading.listing(actor, filters, is_open=not is_past), order, request.args)
    return render_template(
        "alarms/index.html",
        filter_form=form,
        page=page,
        past=[] if is_past or page.previous_url else reading.newest_past(actor, filters, PAST_SHOWN),
        is_past=is_past,
        is_sorted=bool(chosen(form.sort)),
        is_filtered=filters != AlarmFilters(),
        has_any=bool(page.items) or reading.exists(actor),
        house=house.look(),
        loads=queue_load.of(actor),
        most_counted=queue_load.MOST_COUNTED,
        kinds=KINDS,
    )


@blueprint.get("/<int:alarm_id>")
@requires(Permission.VIEW)
def detail(alarm_id: int) -> str:
    """Show one alarm: what is wrong, what to do, since when, and who is on it."""
    alarm = access.get(current_actor(), Alarm, alarm_id)
    return render_template(
        "alarms/detail.html", alarm=alarm, facts_of_kind=KINDS[alarm.kind], why_untold=reading.why_untold(alarm)
    )


@blueprint.post("/<int:alarm_id>/take")
@requires(Permission.TAKE_ALARMS)
def take(alarm_id: int) -> Response:
    """Note that the person is on it."""
    try:
        alarm = reading.take(current_actor(), alarm_id)
    except ServiceError as refusal:
        flash(refusal.sentence, "info")
    else:
        mine = alarm.acknowledged_by_id == current_actor().user_id
        who = "You are on it" if mine else f"{alarm.acknowledged_by_name} is on it already"
        flash(f"{who}: no reminder comes about this alarm. It closes by itself once the problem is gone.", "success")
    return redirect(url_for(".detail", alarm_id=alarm_id), 303)
