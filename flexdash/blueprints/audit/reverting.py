"""Asking before a change is reverted, and reverting it."""

from flask import flash, redirect, render_template, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import HiddenField, StringField

from flexdash.blueprints.audit import blueprint
from flexdash.blueprints.guard import current_actor, requires
from flexdash.services import config_log_queries, reverting
from flexdash.services.actors import Permission
from flexdash.services.config_log import MAX_REASON_LENGTH
from flexdash.services.errors import ChangedMeanwhile, FieldRefused, ServiceError
from flexdash.services.reverting import NoWayBack

MEANWHILE = 409


class RevertForm(FlaskForm):
    """`seen` stands for the present values that the page shows: what was changed since is not overwritten unseen."""

    seen = HiddenField()
    reason = StringField("Reason", render_kw={"maxlength": MAX_REASON_LENGTH, "autocomplete": "off"})


@blueprint.route("/configuration-log/<int:event_id>/revert", methods=["GET", "POST"])
@requires(Permission.REVERT_CHANGES)
def revert(event_id: int) -> Response | str | tuple[str, int]:
    """Show what reverting would change now, then do it; the log keeps it as a change of its own."""
    actor, form, status = current_actor(), RevertForm(), 200
    if form.validate_on_submit():
        try:
            done = reverting.revert(actor, event_id, seen=form.seen.data or "", reason=form.reason.data or "")
        except NoWayBack:
            status = 422  # the page says why
        except FieldRefused as refusal:
            status = 422
            if refusal.field == "reason":
                form.reason.errors = [refusal.sentence]
            else:
                form.form_errors.append(refusal.sentence)
        except ServiceError as refusal:
            form.form_errors.append(refusal.sentence)
            status = MEANWHILE if isinstance(refusal, ChangedMeanwhile) else 422
        else:
            flash(f"{done.sentence}.", "success")
            return redirect(url_for(".detail", event_id=done.id), 303)
    event = config_log_queries.get(actor, event_id)
    plan, why_not = None, reverting.why_not(actor, event)
    if not why_not:
        plan = reverting.plan(actor, event_id)
        form.seen.data = plan.seen
    page = render_template("audit/revert.html", form=form, event=event, plan=plan, why_not=why_not)
    return page if status == 200 else (page, status)
