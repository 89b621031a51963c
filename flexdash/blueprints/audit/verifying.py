"""Verifying the chain of the Configuration Log by hand: in parts, so that no request reads a long log whole."""

from datetime import datetime

from flask import current_app, redirect, render_template, request, url_for
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from flexdash import clock, limits
from flexdash.blueprints.audit import blueprint
from flexdash.blueprints.guard import current_actor, requires
from flexdash.services import config_log_parts, config_log_verify
from flexdash.services.actors import Permission
from flexdash.services.config_log_verify import Chain

PLACE_SECONDS = 3600  # a part that waited for longer is begun anew


@blueprint.get("/configuration-log/verify")
@requires(Permission.AUDIT)
def verify() -> str:
    """Show how the latest verification of the chain ended, and what it means."""
    return render_template(
        "audit/verify.html", verification=config_log_verify.latest(current_actor().workspace_id), so_far=0
    )


@blueprint.post("/configuration-log/verify")
@requires(Permission.AUDIT)
@limits.lookups
def verify_now() -> Response | str:
    """Read the chain, a long one up to the next resting place, and keep how it ended."""
    workspace_id = current_actor().workspace_id
    chain, began_at = _chain_at(request.form.get("place", ""), workspace_id)
    with limits.one_answer_at_a_time():
        if config_log_parts.verify_part(workspace_id, chain, began_at, config_log_parts.ROWS_AT_A_PART):
            return redirect(url_for(".verify"), 303)
    return render_template(
        "audit/verify.html",
        verification=config_log_verify.latest(workspace_id),
        so_far=chain.n_rows,
        n_rows=config_log_parts.n_rows_of(workspace_id),
        place=_signer().dumps([workspace_id, chain.n_rows, chain.hash, began_at.isoformat()]),
    )


def _chain_at(place: str, workspace_id: int) -> tuple[Chain, datetime]:
    """Return the chain as far as the pages before have read it, and since when; a new one when `place` is not ours."""
    try:
        of_workspace, n_rows, last_hash, began_at = _signer().loads(place, max_age=PLACE_SECONDS)
    except BadSignature:
        return Chain(), clock.now()
    if of_workspace != workspace_id:
        return Chain(), clock.now()
    return Chain(n_rows, last_hash), datetime.fromisoformat(began_at)


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.secret_key), salt="configuration-log-place")
