"""`flexdash verify-log`: verifies the Configuration Log of every workspace."""

import sys
from collections.abc import Sequence

import click
from flask.cli import with_appcontext

from flexdash.services import config_log_verify


@click.command("verify-log")
@click.option("--print-heads", is_flag=True, help="Print each chain's length and last hash, to be kept elsewhere.")
@click.option(
    "--expect-head",
    "expected",
    metavar="HASH",
    multiple=True,
    help="A hash that was printed before: it must still be a row of its log. May be given several times.",
)
@with_appcontext
def command(print_heads: bool, expected: Sequence[str]) -> None:
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
    n_broken += sum(not _is_there(kept.strip().lower()) for kept in expected)
    if print_heads:
        for workspace_id, name, n_rows, head_hash in config_log_verify.heads():
            click.echo(f"head of workspace {workspace_id} ({name}): row {n_rows} {head_hash or '-'}")
    if n_broken:
        click.echo("Keep the database as it is, make a copy, and compare it with your last good backup.", err=True)
        sys.exit(1)


def _is_there(head_hash: str) -> bool:
    place = config_log_verify.place_of(head_hash)
    if place is None:
        click.echo(f"{head_hash}: BROKEN. No row has this hash: the log was rewritten, or cut off before it.")
        return False
    click.echo(f"{head_hash}: is row {place[1]} of workspace {place[0]}.")
    return True
