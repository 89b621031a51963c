"""`flexdash seed`: a demo workspace to try FlexDash with."""

from typing import NamedTuple

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from flexdash.services import demo


class DemoSignIn(NamedTuple):
    """What a person types on the sign-in page; in place of a password that was changed stands that it was."""

    role: str
    email: str
    password: str


def seed_demo(app: Flask) -> list[DemoSignIn]:
    """Make sure that the demo workspace is there, and return one sign-in per role. Safe to repeat.

    What is there already stays as people have made it. Raises services.errors.NotAllowed in production, where nobody
    may have a password that everyone knows.
    """
    with app.app_context():
        demo.make()
        changed = "(the one it was changed to)"
        return [DemoSignIn(role, email, password or changed) for role, email, password in demo.sign_ins()]


@click.command("seed")
@with_appcontext
def command() -> None:
    """Make a demo workspace with hubs, sellers, SKUs and one sign-in per role. Never in production."""
    if current_app.config["SETTINGS"].is_production:
        raise click.ClickException(demo.NOT_IN_PRODUCTION)
    click.echo(f"The workspace “{demo.WORKSPACE}” is ready. Sign in with:")
    for sign_in in seed_demo(current_app._get_current_object()):
        click.echo(f"  {sign_in.role:<9}{sign_in.email:<30}{sign_in.password}")
