"""The help page, and a page for each of the four questions. What is asked about stands in the URL."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response

from flexdash import limits
from flexdash.blueprints.evidence import send as send_pack
from flexdash.blueprints.fields import whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.help import blueprint
from flexdash.blueprints.help.fixes import remedies
from flexdash.blueprints.help.forms import PRICE, MissingForm, OrderForm, SkuForm
from flexdash.blueprints.parts import parts_seen
from flexdash.extensions import db, settings
from flexdash.models import Store, StoreStatus
from flexdash.services import access, evidence
from flexdash.services.actors import Permission
from flexdash.services.diagnosis import cancellation, order_missing, order_open, sku_price, sku_stock
from flexdash.services.diagnosis.checks import Diagnosis
from flexdash.services.errors import FieldRefused

Answer = str | tuple[str, int]


@dataclass(frozen=True)
class Question:
    """One of the questions, as people ask it."""

    endpoint: str
    title: str
    lead: str
    label: str  # of the field on the help page


QUESTIONS = (
    Question(
        "help.order_missing",
        "Why is my order not here?",
        "Paste the id of an order that Amazon shows and FlexDash does not.",
        "Amazon's order or shipment id",
    ),
    Question(
        "help.cancellation",
        "Why was my cancellation not sent?",
        "Name an order that was cancelled in FlexDash, and that Amazon still wants.",
        "Amazon's id or FlexDash's number",
    ),
    Question(
        "help.sku",
        "Why is my SKU not updated?",
        "Type a SKU whose stock or price on Amazon is not the one that FlexDash has.",
        "SKU",
    ),
    Question(
        "help.order_open",
        "Why is my order not completed on Amazon?",
        "Name an order that is done for you, and that Amazon still shows as open.",
        "Amazon's id or FlexDash's number",
    ),
)


@blueprint.get("")
@requires(Permission.VIEW)
def index() -> str:
    """Show the four questions and the answers that hold for everybody."""
    return render_template(
        "help/index.html",
        questions=QUESTIONS,
        pull_minutes=settings.order_pull_interval_minutes,
        push_minutes=settings.inventory_push_interval_minutes,
        price_minutes=settings.price_push_interval_minutes,
    )


@blueprint.get("/order-missing", endpoint="order_missing")
@requires(Permission.VIEW)
@limits.lookups
def order_missing_page() -> Answer:
    """Say why an order is not here."""
    form = MissingForm(request.args, _stores())
    return _page(
        QUESTIONS[0],
        form,
        lambda text: order_missing.why_missing(current_actor(), text, store_id=form.store_id(), parts=parts_seen()),
    )


@blueprint.get("/order-missing/evidence.zip")
@requires(Permission.VIEW)
@limits.lookups
def missing_evidence() -> Response:
    """Send everything that is kept of an order that is not here, or waits in quarantine, for a case with Amazon."""
    order_id = evidence.order_named(current_actor(), request.args.get("q", ""))
    if order_id is not None:
        return redirect(url_for("orders.order_evidence", order_id=order_id), 303)
    try:
        pack = evidence.missing_pack(current_actor(), request.args.get("q", ""), whole(request.args.get("store")))
    except FieldRefused:
        asked = {name: request.args.get(name) for name in ("q", "store")}
        return redirect(url_for(".order_missing", **asked), 303)  # whose form says what is wrong
    return send_pack(pack)


@blueprint.get("/cancellation", endpoint="cancellation")
@requires(Permission.VIEW)
@limits.lookups
def cancellation_page() -> Answer:
    """Say why a cancellation did not reach Amazon."""
    return _page(
        QUESTIONS[1],
        OrderForm(request.args),
        lambda text: cancellation.why_not_sent(current_actor(), text, parts=parts_seen()),
    )


@blueprint.get("/sku")
@requires(Permission.VIEW)
@limits.lookups
def sku() -> Answer:
    """Say why a SKU's stock or price is not updated on Amazon."""
    form = SkuForm(request.args, _stores())
    why = sku_price.why_not_updated if form.about.data == PRICE else sku_stock.why_not_updated
    return _page(
        QUESTIONS[2], form, lambda text: why(current_actor(), text, store_id=form.store_id(), parts=parts_seen())
    )


@blueprint.get("/order-open", endpoint="order_open")
@requires(Permission.VIEW)
@limits.lookups
def order_open_page() -> Answer:
    """Say why an order is not completed on Amazon."""
    return _page(
        QUESTIONS[3],
        OrderForm(request.args),
        lambda text: order_open.why_open(current_actor(), text, parts=parts_seen()),
    )


def _page(question: Question, form: FlaskForm, why: Callable[[str], Diagnosis]) -> Answer:
    """Return the page of a question: its form, and the answer once something was asked about."""
    diagnosis, status = None, 200
    if "q" in request.args:
        try:
            with limits.one_answer_at_a_time():
                diagnosis = why(request.args["q"])
        except FieldRefused as refusal:
            form[refusal.field].errors = [refusal.sentence]
            status = 422
    page = render_template(
        f"{question.endpoint.replace('.', '/')}.html",
        question=question,
        questions=QUESTIONS,
        form=form,
        diagnosis=diagnosis,
        remedies=lambda fixes: remedies(current_actor(), fixes),
    )
    return (page, status) if status != 200 else page


def _stores() -> list[Store]:
    query = access.visible(current_actor(), Store).where(Store.status != StoreStatus.DRAFT)
    return list(db.session.scalars(query.order_by(Store.name, Store.id)))
