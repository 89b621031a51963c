"""The Configuration Log's pages: what is shown, to whom, filtered, exported and verified."""

import csv
import html
import io
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from sqlalchemy import event

from flexdash import clock
from flexdash.cli import verify_log
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import Role, Section
from flexdash.services import config_log, config_log_parts, config_log_queries, config_log_verify
from tests.factories import make_actor, make_seller, make_store, make_user, make_workspace
from tests.support.chains import append, tampering
from tests.support.web import words

XSS = '"><svg onload=alert(1)>'
LOG = "/configuration-log"


@pytest.fixture
def ada(app):
    return make_user(make_workspace(), Role.ADMIN, name="Ada")


@pytest.fixture
def admin(ada, signed_in):
    """A browser in which the admin Ada is signed in."""
    return signed_in(ada)


@pytest.fixture
def store(ada):
    return make_store(make_seller(ada.workspace), name="Pune Store")


def record(user, sentence: str, section: Section = Section.SETTINGS, **values) -> None:
    with transaction():
        config_log.record(make_actor(user, "203.0.113.9"), section, sentence, **values)


def sentences(answer) -> list[str]:
    """Return the sentences of the rows shown, in their order."""
    return [html.unescape(sentence) for sentence in re.findall(r'class="log-sentence">([^<]*)<', answer.text)]


def place_in(answer) -> str:
    """Return where the next part of a verification begins."""
    return re.search(r'name="place" value="([^"]+)"', answer.text)[1]


def csv_rows(answer) -> list[dict[str, str]]:
    """Return the rows of the file, which must say at its end that it is whole."""
    *rows, end = csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig")))
    assert end["number"].startswith(f"END OF FILE: {len(rows)} row")
    return rows


# The page -------------------------------------------------------------------------------------------------------------


def test_each_row_says_what_when_who_from_where_section_change_and_reason(admin, ada, store) -> None:
    with time_machine.travel(datetime(2026, 11, 22, 20, 30, 5, tzinfo=UTC), tick=False):
        record(
            ada,
            "Ada turned Order Sync on for Pune Store",
            store=store,
            old={"is_order_sync_on": False},
            new={"is_order_sync_on": True},
            reason="Season starts",
        )
    page = words(admin.get(LOG))
    for part in (
        "Ada turned Order Sync on for Pune Store",
        "Reason: Season starts",
        "23 Nov 2026, 02:00:05 IST",
        "from 203.0.113.9",
        "Settings Pune Store",
        "Order Sync: off → became on",
    ):
        assert part in page


def test_values_without_one_before_stand_alone_and_times_in_the_viewers_zone(admin, ada, store) -> None:
    new = {"authorization_expires_at": "2027-11-22T20:30:00+00:00", "n_new": 10}
    record(ada, "Ada connected Pune Store", store=store, old={}, new=new)
    page = words(admin.get(LOG))
    assert "23 Nov 2027, 02:00 IST" in page
    assert "(new)" not in page
    assert "22 Nov 2027, 20:30 UTC" in admin.get("/configuration-log.csv").text


def test_rows_come_newest_first_fifty_at_a_time(admin, ada) -> None:
    append(ada.workspace_id, 120)
    first = admin.get(LOG)
    assert sentences(first) == [f"FlexDash made change {n}" for n in range(119, 69, -1)]
    second = admin.get(LOG + html.unescape(re.search(r'rel="next" href="([^"]+)"', first.text).group(1)))
    assert sentences(second) == [f"FlexDash made change {n}" for n in range(69, 19, -1)]


def test_the_oldest_row_can_come_first_on_every_page_and_in_the_file(admin, ada, monkeypatch) -> None:
    monkeypatch.setattr(config_log_queries, "ROWS_AT_A_TIME", 25)
    append(ada.workspace_id, 60)
    first = admin.get(f"{LOG}?sort=oldest")
    assert sentences(first) == [f"FlexDash made change {n}" for n in range(50)]
    assert "Configuration Log, oldest first" in first.text
    following = html.unescape(re.search(r'rel="next" href="([^"]+)"', first.text).group(1))
    assert "sort=oldest" in following
    assert sentences(admin.get(LOG + following)) == [f"FlexDash made change {n}" for n in range(50, 60)]
    address = html.unescape(re.search(r'href="(/configuration-log.csv[^"]+)"', first.text).group(1))
    assert [row["number"] for row in csv_rows(admin.get(address))] == [str(n) for n in range(1, 61)]


def test_the_filters_narrow_the_rows_and_stay_in_the_address(admin, ada, store) -> None:
    ravi = make_user(ada.workspace, name="Ravi")
    for n in range(60):
        record(ravi, f"ravi {n}", Section.HUB_MAPPING, store=store)
    record(ada, "ada")
    assert sentences(admin.get(f"{LOG}?person={ada.id}")) == ["ada"]
    assert sentences(admin.get(f"{LOG}?section=Settings")) == ["ada"]
    assert sentences(admin.get(f"{LOG}?person=flexdash")) == []
    answer = admin.get(f"{LOG}?store={store.id}&section=Hub+Mapping")
    assert len(sentences(answer)) == 50
    following = html.unescape(re.search(r'rel="next" href="([^"]+)"', answer.text).group(1))
    assert f"store={store.id}" in following
    assert len(sentences(admin.get(LOG + following))) == 10
    assert f"/configuration-log.csv?store={store.id}&amp;section=Hub+Mapping" in answer.text


def test_days_are_the_viewers_own(admin, ada) -> None:
    for moment in ("2026-11-22T18:29:59", "2026-11-22T18:30:00"):
        with time_machine.travel(datetime.fromisoformat(f"{moment}+00:00"), tick=False):
            record(ada, moment)
    assert sentences(admin.get(f"{LOG}?from=2026-11-23&to=2026-11-23")) == ["2026-11-22T18:30:00"]
    assert sentences(admin.get(f"{LOG}?to=2026-11-22")) == ["2026-11-22T18:29:59"]


@pytest.mark.parametrize(
    ("query", "words_of_the_error"),
    [
        ("from=yesterday", "This is no date."),
        ("to=2026-02-30", "This is no date."),
        ("from=2026-11-24&to=2026-11-23", "The last day is before the first"),
        ("person=999999", None),
        ("person=%7F&section=Nope&store=1;drop&page=%ff", None),
        ("from=0001-01-01&to=9999-12-31", None),
        (f"person={XSS}", None),
    ],
)
def test_odd_filters_are_told_and_never_a_fault(admin, ada, query, words_of_the_error) -> None:
    record(ada, "x")
    for address in (f"{LOG}?{query}", f"/configuration-log.csv?{query}"):
        answer = admin.get(address)
        assert answer.status_code == 200
        assert XSS not in answer.text
    if words_of_the_error:
        assert words_of_the_error in words(admin.get(f"{LOG}?{query}"))


def test_an_empty_log_and_filters_that_fit_nothing_say_what_to_do(admin, ada) -> None:
    assert "Nothing has been changed yet." in words(admin.get(LOG))
    record(ada, "x")
    page = words(admin.get(f"{LOG}?section=Users"))
    assert "No change fits these filters." in page
    assert "Show all changes" in page


def test_names_and_reasons_are_shown_as_text(admin, ada) -> None:
    record(ada, f"renamed to {XSS}", reason=XSS, old={XSS: XSS}, new={XSS: "b"})
    answer = admin.get(LOG)
    assert XSS not in answer.text
    assert "<svg onload" not in answer.text
    assert f"renamed to {XSS}" in html.unescape(answer.text)


def test_the_page_takes_as_many_queries_for_many_rows_as_for_one(admin, ada) -> None:
    def n_queries() -> int:
        statements: list[str] = []
        event.listen(db.engine, "before_cursor_execute", watch := lambda *args: statements.append(args[2]))
        try:
            assert admin.get(LOG).status_code == 200
        finally:
            event.remove(db.engine, "before_cursor_execute", watch)
        return len(statements)

    store = make_store(make_seller(ada.workspace))
    record(ada, "x", store=store)
    few = n_queries()
    for n in range(40):
        record(make_user(ada.workspace), f"{n}", store=store)
    assert n_queries() == few


# The export -----------------------------------------------------------------------------------------------------------


def test_the_export_holds_the_filtered_rows_and_a_name_with_the_viewers_day(admin, ada, store) -> None:
    record(ada, "not this", Section.USERS)
    record(ada, "this", store=store, old={"seller_flex_hub_id": "EXSB"}, new={"seller_flex_hub_id": "EXSC"})
    answer = admin.get(f"/configuration-log.csv?store={store.id}&page=x")
    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    name = re.fullmatch(r'attachment; filename="configuration-log-(.+)\.csv"', answer.headers["Content-Disposition"])
    days = {(datetime.now(ZoneInfo("Asia/Kolkata")) - timedelta(minutes=n)).date().isoformat() for n in (0, 1)}
    assert name.group(1) in days
    (row,) = csv_rows(answer)
    assert (row["number"], row["what"], row["store"], row["who"]) == ("2", "this", "Pune Store", "Ada")
    assert (row["old"], row["new"]) == ("Seller Flex Hub ID: EXSB", "Seller Flex Hub ID: EXSC")
    assert list(row) == list(config_log_queries.EXPORT_HEADINGS)


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_a_cell_that_a_spreadsheet_would_run_is_neutralised(admin, ada, start) -> None:
    record(ada, f"{start}cmd|' /C calc'!A0", reason=f"{start}1+1")
    (row,) = csv_rows(admin.get("/configuration-log.csv"))
    assert row["what"] == f"'{start}cmd|' /C calc'!A0"
    assert row["reason"] == f"'{start}1+1"


def test_the_export_is_sent_while_it_is_read(app, admin, ada, monkeypatch) -> None:
    monkeypatch.setattr(config_log_queries, "ROWS_AT_A_TIME", 10)
    append(ada.workspace_id, 35)
    answer = admin.get("/configuration-log.csv")
    assert "Content-Length" not in answer.headers
    assert [row["number"] for row in csv_rows(answer)] == [str(n) for n in range(35, 0, -1)]


# Verifying ------------------------------------------------------------------------------------------------------------


def test_verify_now_says_when_the_chain_was_verified(admin, ada) -> None:
    append(ada.workspace_id, 3)
    assert "has not been verified yet" in words(admin.get(LOG))
    with time_machine.travel(datetime(2026, 11, 23, 8, 32, tzinfo=UTC), tick=False):
        config_log_verify.verify_and_keep(ada.workspace_id)
    page = words(admin.get(LOG))
    assert "Chain verified at 23 Nov 2026, 14:02:00 IST : 3 rows in order" in page
    answer = admin.post(f"{LOG}/verify")
    assert (answer.status_code, answer.location) == (303, f"{LOG}/verify")
    for path in (LOG, f"{LOG}/verify"):
        assert "3 rows in order, as written. Every row was read" in words(admin.get(path))
    assert config_log_verify.latest(ada.workspace_id).checked_at > datetime(2026, 11, 23, 9, tzinfo=UTC)


def test_a_long_log_is_verified_in_parts(admin, ada, monkeypatch) -> None:
    monkeypatch.setattr(config_log_parts, "ROWS_AT_A_PART", 2)
    append(ada.workspace_id, 5)
    page, read_first_by = admin.post(f"{LOG}/verify"), clock.now()
    assert "Rows 1 to 2 of 5 are in order" in words(page)
    assert config_log_verify.latest(ada.workspace_id) is None, "nothing is said of a log that was read in part"
    page = admin.post(f"{LOG}/verify", data={"place": place_in(page)})
    assert "Rows 1 to 4 of 5 are in order" in words(page)
    assert admin.post(f"{LOG}/verify", data={"place": place_in(page)}).status_code == 303
    latest = config_log_verify.latest(ada.workspace_id)
    assert latest.n_rows == 5
    assert latest.checked_at <= read_first_by, "of what was changed after that it knows nothing"


def test_a_part_begins_anew_where_its_place_is_not_ours(app, signed_in, admin, ada, monkeypatch) -> None:
    monkeypatch.setattr(config_log_parts, "ROWS_AT_A_PART", 2)
    append(ada.workspace_id, 3)
    other = make_user(make_workspace(), Role.ADMIN)
    append(other.workspace_id, 3)
    foreign = place_in(signed_in(other).post(f"{LOG}/verify"))
    for place in (foreign, foreign[:-3], "x"):
        assert "Rows 1 to 2 of 3 are in order" in words(admin.post(f"{LOG}/verify", data={"place": place}))


def test_one_person_has_one_verification_at_a_time(admin, ada) -> None:
    append(ada.workspace_id, 3)
    statuses = []

    def ask_again(*_: object) -> None:
        statuses.append(admin.post(f"{LOG}/verify").status_code)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config_log_parts, "verify_part", ask_again)
        admin.post(f"{LOG}/verify")
    assert statuses == [429]
    assert admin.post(f"{LOG}/verify").status_code == 303


def test_a_broken_chain_names_its_first_bad_row_and_what_to_do(app, admin, ada) -> None:
    append(ada.workspace_id, 9)
    with tampering(app) as connection:
        connection.exec_driver_sql("UPDATE config_events SET sentence = 'x' WHERE sequence = 5")
    admin.post(f"{LOG}/verify")
    page = words(admin.get(f"{LOG}/verify"))
    assert "The chain is broken Row 5 was edited: what it says does not match its hash." in page
    assert "the 4 rows before it are as written" in page
    assert "What to do now" in page
    assert "Row 5 was edited" in words(admin.get(LOG))


def test_the_command_verifies_every_workspace_and_ends_with_1_when_one_is_broken(app, ada) -> None:
    good, bad = make_workspace("Good Company"), make_workspace("Bad Company")
    for workspace in (good, bad):
        append(workspace.id, 4)
    runner = app.test_cli_runner()
    result = runner.invoke(verify_log.command)
    assert result.exit_code == 0
    assert "Good Company: 4 rows, chain intact." in result.output
    bad_id = bad.id
    with tampering(app) as connection:
        connection.exec_driver_sql(f"DELETE FROM config_events WHERE workspace_id = {bad_id} AND sequence = 2")
    result = runner.invoke(verify_log.command)
    assert result.exit_code == 1
    assert "Good Company: 4 rows, chain intact." in result.output
    assert "Bad Company: BROKEN. Row 2 is missing: deleted, or moved elsewhere." in result.output
    assert not config_log_verify.latest(bad_id).is_intact


def test_the_command_prints_the_heads_and_holds_the_log_against_one_kept_elsewhere(app, ada) -> None:
    append(ada.workspace_id, 3)
    runner = app.test_cli_runner()
    output = runner.invoke(verify_log.command, ["--print-heads"]).output
    kept = re.search(r"row 3 ([0-9a-f]{64})", output).group(1)
    append(ada.workspace_id, 2)
    result = runner.invoke(verify_log.command, ["--expect-head", kept])
    assert (result.exit_code, f"{kept}: is row 3 of workspace {ada.workspace_id}." in result.output) == (0, True)
    result = runner.invoke(verify_log.command, ["--expect-head", kept, "--expect-head", "0" * 64])
    assert result.exit_code == 1
    assert "No row has this hash: the log was rewritten, or cut off before it." in result.output


# Who may --------------------------------------------------------------------------------------------------------------


def test_support_reads_exports_and_verifies_and_a_merchant_does_not(ada, signed_in) -> None:
    append(ada.workspace_id, 1)
    support = signed_in(make_user(ada.workspace, Role.SUPPORT))
    merchant = signed_in(make_user(ada.workspace))
    for path in (LOG, "/configuration-log.csv", f"{LOG}/verify"):
        assert support.get(path).status_code == 200
        assert merchant.get(path).status_code == 403
    assert support.post(f"{LOG}/verify").status_code == 303
    assert merchant.post(f"{LOG}/verify").status_code == 403


def test_nobody_sees_another_workspaces_rows(admin, ada) -> None:
    stranger = make_user(make_workspace(), Role.ADMIN)
    record(stranger, "a secret", store=(theirs := make_store(make_seller(stranger.workspace), name="Their Store")))
    for path in (LOG, f"{LOG}?store={theirs.id}", f"{LOG}?person={stranger.id}", "/configuration-log.csv"):
        answer = admin.get(path)
        assert "a secret" not in answer.text
        assert "Their Store" not in answer.text
    assert admin.get(f"/stores/{theirs.id}/configuration-log").status_code == 404
    assert admin.get(f"/stores/{theirs.id}/configuration-log.csv").status_code == 404


def test_a_merchant_reads_and_exports_the_log_of_their_stores_only(ada, store, signed_in) -> None:
    other = make_store(make_seller(ada.workspace), name="Other Store")
    record(ada, "ours", store=store)
    record(ada, "theirs", store=other)
    record(ada, "a user", Section.USERS)
    merchant = signed_in(make_user(ada.workspace, sellers=[store.seller]))
    page = merchant.get(f"/stores/{store.id}/configuration-log")
    assert sentences(page) == ["ours"]
    assert 'name="store"' not in page.text
    rows = csv_rows(merchant.get(f"/stores/{store.id}/configuration-log.csv?store={other.id}"))
    assert [row["what"] for row in rows] == ["ours"]
    assert sentences(merchant.get(f"/stores/{store.id}/configuration-log?section=Users")) == []
    assert merchant.get(f"/stores/{other.id}/configuration-log").status_code == 404
    assert merchant.get(f"/stores/{other.id}/configuration-log.csv").status_code == 404


def test_a_store_without_changes_says_so(admin, store) -> None:
    assert "Nothing has been changed in this store yet." in words(admin.get(f"/stores/{store.id}/configuration-log"))


def test_a_stores_own_tab_says_whether_the_chain_holds(admin, store) -> None:
    tab = f"/stores/{store.id}/configuration-log"
    assert "Chain not verified yet" in words(admin.get(tab))
    admin.post("/configuration-log/verify")
    assert "Chain verified at" in words(admin.get(tab))


def test_the_days_before_and_after_are_left_out_of_the_export_too(admin, ada) -> None:
    start = datetime(2026, 11, 20, 12, tzinfo=UTC)
    for n in range(5):
        with time_machine.travel(start + timedelta(days=n), tick=False):
            record(ada, f"day {n}")
    rows = csv_rows(admin.get("/configuration-log.csv?from=2026-11-21&to=2026-11-22"))
    assert [row["what"] for row in rows] == ["day 2", "day 1"]
