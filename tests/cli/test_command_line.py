"""The command line as a whole: what every command says where the database cannot be used."""

from collections.abc import Callable
from io import StringIO
from typing import Never

import pytest
from flask import Flask
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from flexdash import cli
from flexdash.cli import main, migrate
from flexdash.services import config_log_verify, key_rotation, users

PERSON = ["--workspace", "Acme", "--name", "Asha", "--email", "asha@acme.example", "--password-stdin"]


def _raising(error: DBAPIError) -> Callable[..., Never]:
    def raise_it(*_arguments: object, **_values: object) -> Never:
        raise error

    return raise_it


@pytest.fixture
def end(app: Flask, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command whose every way to the database raises `error`; gives what it says at its end with code 1."""

    def run(command: list[str], error: DBAPIError) -> str:
        monkeypatch.setattr(cli, "_make_app", lambda: app)
        monkeypatch.setattr("sys.stdin", StringIO("a password as long as it takes\n"))
        for module, name in (
            (migrate, "upgrade_database"),
            (key_rotation, "rotate"),
            (config_log_verify, "workspaces"),
            (users, "add_from_command_line"),
        ):
            monkeypatch.setattr(module, name, _raising(error))
        with pytest.raises(SystemExit) as ended:
            main(command)
        assert ended.value.code == 1
        return capsys.readouterr().err

    return run


@pytest.mark.parametrize("command", [["migrate"], ["rotate-keys"], ["verify-log"], ["create-user", *PERSON]])
def test_a_database_that_cannot_be_reached_is_said_in_a_sentence(end: Callable[..., str], command: list[str]) -> None:
    told = end(command, OperationalError(None, None, Exception("connection to postgresql://me:canary123@db failed")))
    assert told.startswith("FlexDash cannot use the database that DATABASE_URL names")
    assert "canary123" not in told


def test_a_database_without_tables_is_named_with_the_remedy(end: Callable[..., str]) -> None:
    told = end(["rotate-keys"], OperationalError("SELECT", {}, Exception("no such table: stores")))
    assert "python -m flexdash migrate" in told


def test_a_defect_keeps_its_stack_trace(end: Callable[..., str]) -> None:
    with pytest.raises(ProgrammingError):
        end(["rotate-keys"], ProgrammingError("SELEC", {}, Exception("syntax error")))
