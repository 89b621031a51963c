"""`flexdash create-user`: the first admin of a new installation, and anyone else from the command line."""

import sys

import click
from flask.cli import with_appcontext

from flexdash.models import Role
from flexdash.services import users
from flexdash.services.errors import FieldRefused


@click.command("create-user")
@click.option("--workspace", prompt="Workspace (your company)", help="Made when there is none of this name.")
@click.option("--name", prompt="Name of the person")
@click.option("--email", prompt="E-mail to sign in with")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.ADMIN.value,
    show_default=True,
    help="The first person of a workspace must be an admin.",
)
@click.option("--time-zone", default="UTC", show_default=True, help="Of a workspace that is made, like Asia/Kolkata.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking for it.")
@with_appcontext
def command(workspace: str, name: str, email: str, role: str, time_zone: str, password_stdin: bool) -> None:
    """Add a person who can sign in, and their workspace when there is none of that name.

    The password is asked for, or read from standard input; it is never an argument, for others could see it there.
    """
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password (at least 12 characters)", hide_input=True, confirmation_prompt=True)
    try:
        user = users.add_from_command_line(
            workspace, time_zone, name=name, email=email, password=password, role=Role(role)
        )
    except FieldRefused as refusal:
        raise click.ClickException(f"{refusal.field.replace('_', ' ')}: {refusal.sentence}") from None
    click.echo(f"{user.name} can sign in as {user.email}, {role} of the workspace “{user.workspace.name}”.")
