"""Verifying the Configuration Log by the clock: daily, in steps, from the first row once a week."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from flexdash.extensions import db
from flexdash.jobs import dispatch
from flexdash.models import ConfigChainHead
from flexdash.services import config_log_verify, config_log_walk
from tests.factories import make_workspace
from tests.support.chains import append, tampering

START = datetime(2026, 11, 23, 8, 32, tzinfo=UTC)


def head(workspace_id: int) -> ConfigChainHead:
    db.session.rollback()
    return db.session.get_one(ConfigChainHead, workspace_id, populate_existing=True)


def edit_row(app, sequence: int) -> None:
    with tampering(app) as connection:
        connection.exec_driver_sql(f"UPDATE config_events SET sentence = 'x' WHERE sequence = {sequence}")


def test_the_tick_verifies_a_log_and_says_when(workspace) -> None:
    append(workspace.id, 3)
    with time_machine.travel(START, tick=False):
        dispatch.tick()
    verification = config_log_verify.latest(workspace.id)
    assert (verification.is_intact, verification.n_rows, verification.checked_at) == (True, 3, START)


def test_it_is_done_once_a_day_and_only_for_new_rows(workspace) -> None:
    append(workspace.id, 5)
    assert config_log_walk.step(START) == 5
    append(workspace.id, 2)
    assert config_log_walk.step(START + timedelta(hours=23)) == 0
    assert config_log_walk.step(START + timedelta(days=1)) == 2
    assert (head(workspace.id).verified_sequence, head(workspace.id).fully_verified_at) == (7, START)


def test_a_long_log_takes_several_steps(workspace) -> None:
    append(workspace.id, 25)
    assert [config_log_walk.step(START, 10) for _ in range(3)] == [10, 10, 5]
    assert config_log_verify.latest(workspace.id).n_rows == 25
    assert config_log_walk.step(START, 10) == 0


def test_a_log_whose_last_step_was_full_is_ended_by_the_next(workspace) -> None:
    append(workspace.id, 10)
    assert [config_log_walk.step(START, 10) for _ in range(2)] == [10, 0]
    assert config_log_verify.latest(workspace.id).n_rows == 10


def test_once_a_week_it_begins_with_the_first_row_and_finds_an_old_row_edited(app, workspace) -> None:
    workspace_id = workspace.id
    append(workspace_id, 9)
    config_log_walk.step(START)
    edit_row(app, 5)
    for day in range(1, 7):
        config_log_walk.step(START + timedelta(days=day))
        assert config_log_verify.latest(workspace_id).is_intact
    config_log_walk.step(START + timedelta(days=7))
    verification = config_log_verify.latest(workspace_id)
    assert verification.fault == "Row 5 was edited: what it says does not match its hash."
    assert verification.n_rows == 4


def test_a_broken_log_stays_broken_however_it_grows(app, workspace) -> None:
    workspace_id = workspace.id
    append(workspace_id, 4)
    edit_row(app, 2)
    for day in range(3):
        config_log_walk.step(START + timedelta(days=day))
        append(workspace_id, 1)
        assert config_log_verify.latest(workspace_id).fault.startswith("Row 2 was edited")


@pytest.mark.parametrize("also_the_head", [False, True])
def test_an_end_that_was_cut_off_is_found_even_with_the_head_set_back(app, workspace, also_the_head) -> None:
    workspace_id = workspace.id
    append(workspace_id, 6)
    config_log_walk.step(START)
    if not also_the_head:
        append(workspace_id, 1)
    with tampering(app) as connection:
        connection.exec_driver_sql("DELETE FROM config_events WHERE sequence > 4")
        if also_the_head:
            connection.exec_driver_sql(
                "UPDATE config_chain_heads SET sequence = 4, hash = (SELECT hash FROM config_events WHERE sequence = 4)"
            )
    config_log_walk.step(START + timedelta(days=1))
    assert "the end of the log was cut off" in config_log_verify.latest(workspace_id).fault


def test_every_workspace_has_its_turn(workspace) -> None:
    others = [make_workspace().id for _ in range(3)]
    for workspace_id in (workspace.id, *others):
        append(workspace_id, 4)
    assert [config_log_walk.step(START, 6) for _ in range(4)] == [6, 6, 4, 0]
    assert all(config_log_verify.latest(workspace_id).n_rows == 4 for workspace_id in (workspace.id, *others))


def test_a_verification_by_hand_meanwhile_is_not_set_back(workspace, monkeypatch) -> None:
    workspace_id = workspace.id
    append(workspace_id, 6)
    config_log_walk.step(START, 4)
    true_snapshot = config_log_walk.snapshot

    def snapshot():
        with time_machine.travel(START + timedelta(minutes=1), tick=False):
            config_log_verify.verify_and_keep(workspace_id)
        return true_snapshot()

    monkeypatch.setattr(config_log_walk, "snapshot", snapshot)
    config_log_walk.step(START, 4)
    kept = head(workspace_id)
    assert (kept.walk_sequence, kept.verified_sequence) == (6, 6)
    assert kept.verified_at == START + timedelta(minutes=1)
