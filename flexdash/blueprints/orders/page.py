"""The page of one order, drawn by every view that shows it again."""

from flask import render_template

from flexdash.blueprints.api_log.words import OUTCOME_WORDS
from flexdash.blueprints.fields import choices
from flexdash.blueprints.guard import current_actor
from flexdash.blueprints.orders.forms import HOLD_WORDS, CloseConflictForm, PickForm, ReleaseForm
from flexdash.extensions import db
from flexdash.models import Hub, Order, OrderCancellation, OrderState
from flexdash.services import access, order_lines, order_timeline, orders, returns
from flexdash.services.actors import Actor, Permission
from flexdash.services.order_numbers import number_of
from flexdash.services.order_states import OPEN
from flexdash.services.order_work import conflicts, overview

SECONDS_WHILE_AMAZON_IS_ASKED = 3
SECONDS_WHILE_WORKED = 15  # so that a cancellation is seen by those who have the page open


def order_page(
    order: Order,
    buyer: orders.BuyerView | None,
    *,
    release_form: ReleaseForm | None = None,
    pick_form: PickForm | None = None,
    close_form: CloseConflictForm | None = None,
    close_id: int | None = None,
) -> str:
    """Return the page of a loaded `order`, with the forms that came back with errors in place of fresh ones."""
    actor = current_actor()
    entries, is_cut = order_timeline.of_order(order)
    return render_template(
        "orders/detail.html",
        buyer=buyer,
        may_reveal=actor.may(Permission.REVEAL_BUYERS),
        entries=entries,
        is_cut=is_cut,
        brought_by=next((event.run_id for event in order.events if event.kind == "imported"), None),
        call_words=OUTCOME_WORDS,
        returns=returns.of_order(order),
        return_status=returns.status_of,
        skus=order_lines.facts(order),
        is_open=order.state in OPEN,
        release_form=release_form or new_release_form(order),
        pick_form=pick_form,
        form=next((form for form in (release_form, pick_form, close_form) if form is not None), None),
        conflicts=conflicts.of_order(order),
        close_form=close_form or CloseConflictForm(formdata=None),
        close_id=close_id,
        hold_words=HOLD_WORDS,
        **work_facts(order),
    )


def work_facts(order: Order) -> dict[str, object]:
    """Return what the part of the page needs that is asked for again while the order is worked."""
    view = overview.of_order(order)
    seconds = SECONDS_WHILE_AMAZON_IS_ASKED if view.is_asking_amazon else SECONDS_WHILE_WORKED
    return {
        "order": order,
        "number": number_of(order.id),
        "amazon_word": orders.amazon_word,
        "may_work": current_actor().may(Permission.WORK_ORDERS),
        "work": view,
        "cancelled_words": overview.cancelled_words(order),
        "live_seconds": seconds if view.is_live else 0,
    }


def new_release_form(order: Order) -> ReleaseForm | None:
    """Return the form that releases a held order by hand, where the person may; None where there is nothing to do."""
    if order.state is not OrderState.ON_HOLD or order.cancellation is OrderCancellation.CANCELLING:
        return None
    if not current_actor().may(Permission.WORK_ORDERS):
        return None
    form = ReleaseForm()
    active = (hub for hub in hubs_of(current_actor()) if hub.is_active)
    # None is chosen beforehand: a slip would send the order to a warehouse that does not have the goods.
    form.hub_id.choices = choices(("", "Pick a hub"), *((str(hub.id), f"{hub.name} ({hub.code})") for hub in active))
    return form


def hubs_of(actor: Actor) -> list[Hub]:
    """Return the hubs that `actor` may see, by name."""
    return list(db.session.scalars(access.visible(actor, Hub).order_by(Hub.name)))
