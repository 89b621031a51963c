"""`flexdash rotate-keys`: puts tokens and buyer data under the newest encryption key."""

import click
from flask.cli import with_appcontext

from flexdash.services import key_rotation
from flexdash.services.key_rotation import RotationCount

_SHOWN_IDS = 20


@click.command("rotate-keys")
@with_appcontext
def command() -> None:
    """Encrypt tokens, buyer data and quarantined payloads anew with the first of ENCRYPTION_KEYS.

    FlexDash may go on serving meanwhile. Put the new key first in ENCRYPTION_KEYS and restart all parts before, and
    remove the old key after this has ended well. Safe to stop and to repeat.
    """
    counts = key_rotation.rotate(on_batch=_show_progress)
    click.echo("", err=True)
    for count in counts:
        click.echo(
            f"{count.column}: {count.n_rotated:,} encrypted anew, {count.n_current:,} under the newest key before, "
            f"{count.n_changed_meanwhile:,} changed meanwhile, {len(count.unreadable_ids):,} unreadable"
        )
    _refuse_to_call_it_done(counts)
    click.echo("Everything is under the newest key. The older keys can be removed from ENCRYPTION_KEYS.")


def _show_progress(count: RotationCount) -> None:
    click.echo(f"\r{count.column}: {count.n_seen:,} looked at", nl=False, err=True)


def _refuse_to_call_it_done(counts: list[RotationCount]) -> None:
    for count in counts:
        if count.unreadable_ids:
            ids = ", ".join(str(row_id) for row_id in count.unreadable_ids[:_SHOWN_IDS])
            more = " …" if len(count.unreadable_ids) > _SHOWN_IDS else ""
            raise click.ClickException(
                f"No key opens {count.column} of the rows with id {ids}{more}. They are left as they are. Add the key "
                "they were encrypted with to the end of ENCRYPTION_KEYS and run this again."
            )
    if any(count.n_changed_meanwhile for count in counts):
        raise click.ClickException(
            "Some values changed again and again while this ran. Keep the older keys and run this once more."
        )
