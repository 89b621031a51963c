"""`flexdash worker`: runs queued jobs until it is told to stop."""

import click
from flask import current_app
from flask.cli import with_appcontext

from flexdash.jobs.worker import run_worker


@click.command("worker")
@click.option(
    "--queues",
    default="tick,sync,work,upload",
    show_default=True,
    metavar="NAMES",
    help="Queues to serve, separated by commas; earlier ones first.",
)
@with_appcontext
def command(queues: str) -> None:
    """Run queued jobs until stopped with Ctrl-C or SIGTERM; the job at hand is finished first."""
    run_worker(current_app._get_current_object(), [name.strip() for name in queues.split(",") if name.strip()])
