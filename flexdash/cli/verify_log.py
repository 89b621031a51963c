"""`flexdash verify-log`: verifies the Configuration Log of every workspace."""

import sys

import click
from flask.cli import with_appcontext

from flexdash.services import config_log_verify


@click.command("verify-log")
@with_appcontext
def command() -> None:
    """Verify every workspace's Configuration Log; names the first bad row of each and ends with code 1 if any is."""
    n_broken = 0
    for workspace_id, name in config_log_verify.workspaces():
        verification = config_log_verify.verify_and_keep(workspace_id)
        if verification.is_intact:
            click.echo(f"{name}: {verification.n_rows:,} rows, chain intact.")
        else:
            n_broken += 1
            click.echo(
                f"{name}: BROKEN. {verification.fault} The {verification.n_rows:,} rows before it are as written."
            )
    if n_broken:
        click.echo("Keep the database as it is, make a copy, and compare it with your last good backup.", err=True)
        sys.exit(1)
