"""`flexdash create-user`: makes the first admin, and takes the password where nobody else can read it."""

import pytest
from sqlalchemy import select

from flexdash.cli.create_user import command
from flexdash.extensions import db
from flexdash.models import Role, User, Workspace
from flexdash.services import sign_in

PASSWORD = "correct horse battery staple"
ARGUMENTS = ["--workspace", "Acme", "--name", "Asha", "--email", "Asha@acme.example", "--time-zone", "Asia/Kolkata"]


@pytest.fixture
def run(app):
    return lambda arguments, given: app.test_cli_runner().invoke(command, arguments, input=given)


def test_the_first_admin_and_the_workspace_are_made_and_can_sign_in(run):
    result = run([*ARGUMENTS, "--password-stdin"], f"{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    assert "Asha can sign in as asha@acme.example, admin of the workspace “Acme”." in result.output
    assert PASSWORD not in result.output
    user = db.session.scalars(select(User)).one()
    assert (user.role, user.workspace.time_zone) == (Role.ADMIN, "Asia/Kolkata")
    assert sign_in.begin("asha@acme.example", PASSWORD)


def test_the_password_is_asked_for_twice_and_not_shown(run):
    result = run(ARGUMENTS, f"{PASSWORD}\n{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    assert PASSWORD not in result.output


def test_there_is_no_option_that_takes_a_password(run):
    assert not any("password" in name and name != "--password-stdin" for o in command.params for name in o.opts)


@pytest.mark.parametrize(
    ("arguments", "password", "words"),
    [
        (ARGUMENTS, "short", "password: Use at least 12 characters"),
        ([*ARGUMENTS, "--email", "nonsense"], PASSWORD, "email: Give an e-mail address"),
        ([*ARGUMENTS, "--time-zone", "Mars"], PASSWORD, "time zone: Choose a time zone"),
        ([*ARGUMENTS, "--role", "support"], PASSWORD, "role: The first person of a workspace must be an admin"),
    ],
)
def test_what_cannot_be_is_said_and_leaves_nothing_behind(run, arguments, password, words):
    result = run([*arguments, "--password-stdin"], f"{password}\n")
    assert result.exit_code == 1
    assert words in result.output
    assert db.session.scalars(select(Workspace)).all() == []


def test_a_second_person_joins_the_workspace_of_the_same_name(run):
    run([*ARGUMENTS, "--password-stdin"], f"{PASSWORD}\n")
    second = ["--workspace", "Acme", "--name", "Ravi", "--email", "ravi@acme.example", "--role", "merchant"]
    assert run([*second, "--password-stdin"], f"{PASSWORD}\n").exit_code == 0
    assert run([*second, "--password-stdin"], f"{PASSWORD}\n").exit_code == 1  # the e-mail is taken now
    assert len(db.session.scalars(select(User)).all()) == 2
    assert len(db.session.scalars(select(Workspace)).all()) == 1
