"""A person starts a run: make it, put it into the queue after the commit, and lead to its page."""

from collections.abc import Callable

from flask import flash, redirect, url_for
from werkzeug.wrappers import Response

from flexdash.jobs import queues
from flexdash.models import SyncRun
from flexdash.services.sync_runs import RunInProgress, StoreCannotSync


def start(make_run: Callable[[], SyncRun], back_url: str) -> Response:
    """Call `make_run`, enqueue what it made, and lead to its page; a refusal is said there or at `back_url`."""
    try:
        run_id = make_run().id
    except RunInProgress as refusal:
        flash(refusal.sentence, "warning")
        return redirect(url_for("sync.detail", run_id=refusal.run_id), 303)
    except StoreCannotSync as refusal:
        flash(refusal.sentence, "error")
        return redirect(back_url, 303)
    if queues.enqueue_run(run_id):
        flash("The sync is started. This is its run.", "success")
    else:
        flash(
            "The sync is noted, but the queue is away at the moment. It begins by itself within a minute of the "
            "queue's return; there is nothing you need to do.",
            "warning",
        )
    return redirect(url_for("sync.detail", run_id=run_id), 303)
