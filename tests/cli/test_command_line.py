"""The command line as a whole: what every command says where the database is not to be used."""

from io import StringIO
from typing import Never

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from flexdash import cli
from flexdash.cli import main, migrate
from flexdash.services import config_log_verify, key_rotation, users

PERSON = ["--workspace", "Acme", "--name", "Asha", "--email", "asha@acme.example", "--password-stdin"]


def _no_database(*_arguments: object, **_values: object) -> Never:
    raise OperationalError("SELECT", {}, Exception("connection to postgresql://me:canary123@db failed"))


@pytest.mark.parametrize("command", [["migrate"], ["rotate-keys"], ["verify-log"], ["create-user", *PERSON]])
def test_a_database_that_cannot_be_used_is_said_without_a_stack_trace(
    app: Flask, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    monkeypatch.setattr(cli, "_make_app", lambda: app)
    monkeypatch.setattr("sys.stdin", StringIO("a password as long as it takes\n"))
    monkeypatch.setattr(migrate, "upgrade_database", _no_database)
    monkeypatch.setattr(key_rotation, "rotate", _no_database)
    monkeypatch.setattr(config_log_verify, "workspaces", _no_database)
    monkeypatch.setattr(users, "add_from_command_line", _no_database)
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert "FlexDash cannot use the database that DATABASE_URL names" in told
    assert "python -m flexdash migrate" in told
    assert "canary123" not in told
