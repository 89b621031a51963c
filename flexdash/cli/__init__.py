"""The command line: one module per command, each with a click command named `command`.

`python -m flexdash --help` lists them. A setting that needs mending ends any command with exit code 2 and the
sentences of `config.SettingsError`; a database that cannot be used ends it with 1 and a sentence.
"""

import sys
from importlib import import_module
from pkgutil import iter_modules

import click
from flask import Flask
from flask.cli import ScriptInfo

from config import SettingsError

_UNDEFINED_TABLE = "42P01"  # https://www.postgresql.org/docs/current/errcodes-appendix.html


class CommandModules(click.Group):
    """Finds its commands among this package's modules, and imports only the one that is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all modules that have a command, in the spelling of the command line."""
        names = sorted(module.name.replace("_", "-") for module in iter_modules(__path__))
        return [name for name in names if self.get_command(ctx, name)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command called `cmd_name`, None when there is none."""
        module = cmd_name.replace("-", "_")
        if module not in {found.name for found in iter_modules(__path__)}:
            return None
        return getattr(import_module(f"{__name__}.{module}"), "command", None)


@click.command("flexdash", cls=CommandModules)
def group() -> None:
    """FlexDash: keeps an Amazon Seller Flex store and a merchant's order management in step."""


def _make_app() -> Flask:
    from flexdash import create_app  # not at the top: some commands need no app, and the app knows no command line

    return create_app(has_pages=False)


def main(arguments: list[str] | None = None) -> None:
    """Run the command named in `arguments` (by default those of the process) and exit with its code."""
    try:
        group.main(arguments, prog_name="flexdash", obj=ScriptInfo(create_app=_make_app))
    except SettingsError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    except Exception as error:
        sentence = database_trouble(error)
        if not sentence:
            raise
        click.echo(sentence, err=True)
        sys.exit(1)


def database_trouble(error: Exception) -> str:
    """Return what to do about a database that cannot be reached, or lacks its tables; "" for any other error."""
    from sqlalchemy.exc import OperationalError, ProgrammingError  # not at the top: a command may do without

    if not isinstance(error, OperationalError | ProgrammingError):
        return ""
    if error.statement is None:  # so it never came to asking
        return unusable_database(error.orig)
    if getattr(error.orig, "sqlstate", "") == _UNDEFINED_TABLE or "no such table" in str(error.orig):
        return (
            "The database that DATABASE_URL names lacks FlexDash's tables. Make them with: python -m flexdash migrate"
        )
    return ""


def unusable_database(why: object) -> str:
    """Return the sentence on a database that cannot be used, without the password of its address."""
    from flexdash.redaction import redacted_text

    return (
        f"FlexDash cannot use the database that DATABASE_URL names: {redacted_text(str(why))}. See that it runs, that "
        "it may be reached from here, and that user and password are right."
    )
