"""`flexdash scheduler`: ticks once a minute until it is told to stop."""

import warnings

import click
from flask import current_app
from flask.cli import with_appcontext

from flexdash.jobs.scheduling import run_scheduler

# rq-scheduler asks crontab for the next minute in a way that crontab warns of; both answers are the same minute.
warnings.filterwarnings("ignore", category=FutureWarning, module="rq_scheduler")


@click.command("scheduler")
@with_appcontext
def command() -> None:
    """Queue the minute's tick until stopped with Ctrl-C or SIGTERM. Running two of it is safe."""
    run_scheduler(current_app._get_current_object())
