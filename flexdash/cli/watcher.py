"""`flexdash watcher`: notices what is wrong or absent and tells people, until it is told to stop."""

import click
from flask import current_app
from flask.cli import with_appcontext

from flexdash.jobs.watching import run_watcher


@click.command("watcher")
@with_appcontext
def command() -> None:
    """Keep the alarms and send e-mails and webhooks until stopped with Ctrl-C or SIGTERM. Running two of it is safe."""
    run_watcher(current_app._get_current_object())
