"""Verifying the Configuration Log by the clock: every row daily, in steps."""

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


def test_every_row_is_read_once_a_day(workspace) -> None:
    append(workspace.id, 5)
    assert config_log_walk.step(START) == 5
    append(workspace.id, 2)
    assert config_log_walk.step(START + timedelta(hours=23)) == 0
    assert config_log_walk.step(START + timedelta(days=1)) == 7
    assert head(workspace.id).verified_sequence == 7


def test_a_long_log_takes_several_steps(workspace) -> None:
    append(workspace.id, 25)
    assert [config_log_walk.step(START, 10) for _ in range(3)] == [10, 10, 5]
    assert config_log_verify.latest(workspace.id).n_rows == 25
    assert config_log_walk.step(START, 10) == 0


def test_a_log_whose_last_step_was_full_is_ended_by_the_next(workspace) -> None:
    append(workspace.id, 10)
    assert [config_log_walk.step(START, 10) for _ in range(2)] == [10, 0]
    assert config_log_verify.latest(workspace.id).n_rows == 10


def test_an_old_row_that_was_edited_is_found_within_a_day(app, workspace) -> None:
    workspace_id = workspace.id
    append(workspace_id, 9)
    config_log_walk.step(START)
    edit_row(app, 5)
    config_log_walk.step(START + timedelta(days=1))
    verification = config_log_verify.latest(workspace_id)
    assert verification.fault == "Row 5 was edited: what it says does not match its hash."
    assert verification.n_rows == 4


def test_a_verification_in_steps_speaks_of_when_it_began(app, workspace) -> None:
    """A row that was read already may be edited before the last one is: only the next day's finds that."""
    workspace_id = workspace.id
    append(workspace_id, 25)
    for minute in range(2):
        config_log_walk.step(START + timedelta(minutes=minute), 10)
    edit_row(app, 3)
    config_log_walk.step(START + timedelta(minutes=2), 10)
    verification = config_log_verify.latest(workspace_id)
    assert (verification.is_intact, verification.checked_at) == (True, START)
    config_log_walk.step(START + timedelta(days=1), 10)
    assert config_log_verify.latest(workspace_id).fault.startswith("Row 3 was edited")


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


def by_hand(workspace_id: int, day: int) -> None:
    config_log_verify.verify_and_keep(workspace_id)


def by_the_clock(workspace_id: int, day: int) -> None:
    config_log_walk.step(START + timedelta(days=day))


@pytest.mark.parametrize("verify", [by_hand, by_the_clock])
def test_an_end_that_was_cut_off_stays_found_however_often_one_looks(app, workspace, verify) -> None:
    workspace_id = workspace.id
    append(workspace_id, 6)
    verify(workspace_id, 0)
    with tampering(app) as connection:
        connection.exec_driver_sql("DELETE FROM config_events WHERE sequence > 4")
        connection.exec_driver_sql(
            "UPDATE config_chain_heads SET sequence = 4, hash = (SELECT hash FROM config_events WHERE sequence = 4)"
        )
    for day in (1, 2):
        verify(workspace_id, day)
        assert "Row 5 is missing, which was there before" in config_log_verify.latest(workspace_id).fault


@pytest.mark.parametrize("verify", [by_hand, by_the_clock])
def test_a_log_written_anew_with_its_head_is_found(app, workspace, verify) -> None:
    workspace_id = workspace.id
    append(workspace_id, 3)
    verify(workspace_id, 0)
    with tampering(app) as connection:
        connection.exec_driver_sql("DELETE FROM config_events")
        connection.exec_driver_sql("UPDATE config_chain_heads SET sequence = 0, hash = ''")
    append(workspace_id, 4, "Somebody else")
    verify(workspace_id, 1)
    assert config_log_verify.latest(workspace_id).fault.startswith("Row 3 was replaced, and rows before it may be too")


def test_a_fault_found_meanwhile_is_not_taken_back_by_a_reading_that_began_before(workspace, app) -> None:
    workspace_id = workspace.id
    append(workspace_id, 4)
    began_before = config_log_verify.verify(workspace_id)
    with tampering(app) as connection:
        connection.exec_driver_sql("UPDATE config_events SET sentence = 'x' WHERE sequence = 2")
    config_log_verify.verify_and_keep(workspace_id)
    config_log_verify.keep(began_before)
    assert config_log_verify.latest(workspace_id).fault.startswith("Row 2 was edited")


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
    assert (kept.walk_sequence, kept.verified_sequence) == (0, 6)
    assert kept.verified_at == START + timedelta(minutes=1)
