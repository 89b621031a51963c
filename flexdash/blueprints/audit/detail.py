"""The page of one row of the Configuration Log."""

from flask import render_template

from flexdash.blueprints.audit import blueprint
from flexdash.blueprints.guard import current_actor, requires
from flexdash.services import config_log_detail, config_log_queries, config_log_verify, reverting
from flexdash.services.actors import Permission
from flexdash.templating import viewer_zone


@blueprint.get("/configuration-log/<int:event_id>")
@requires(Permission.VIEW)
def detail(event_id: int) -> str:
    """Show one change: what it changed, how the syncs went before and after, and how to take it back."""
    actor = current_actor()
    found = config_log_detail.load(actor, event_id)
    may_revert = actor.may(Permission.REVERT_CHANGES)
    return render_template(
        "audit/detail.html",
        detail=found,
        event=found.event,
        changes=config_log_queries.changes(found.event, viewer_zone()),
        subject_id=config_log_detail.subject_id,
        verification=config_log_verify.latest(actor.workspace_id),
        may_revert=may_revert,
        why_not=reverting.why_not(actor, found.event) if may_revert else "",
    )
