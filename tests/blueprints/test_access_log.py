"""The access log's page and file: who may read it, narrowed by kind, person and day."""

import csv
import html
import io
import re
from datetime import UTC, datetime

import pytest
import time_machine
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from flexdash.database import transaction
from flexdash.extensions import db, limiter
from flexdash.models import AccessEvent, AccessKind, Role
from flexdash.services import access_log, access_log_queries, csv_export
from tests.factories import (
    make_actor,
    make_hub,
    make_listing,
    make_order,
    make_recovery,
    make_seller,
    make_stock,
    make_store,
    make_upload,
    make_user,
    make_workspace,
)

LOG = "/access-log"
XSS = '"><svg onload=alert(1)>'


@pytest.fixture
def ada(workspace):
    return make_user(workspace, Role.ADMIN, name="Ada")


@pytest.fixture
def admin(ada, signed_in):
    return signed_in(ada)


def note(user, sentence: str, kind: AccessKind = AccessKind.EXPORT, **values) -> None:
    with transaction():
        access_log.record(make_actor(user, "203.0.113.9"), kind, sentence, **values)


def sentences(answer) -> list[str]:
    return [html.unescape(sentence) for sentence in re.findall(r'class="log-sentence">([^<]*)<', answer.text)]


def file_rows(answer) -> list[list[str]]:
    return list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"))))


def test_rows_are_narrowed_by_kind_person_and_day(admin, ada) -> None:
    ravi = make_user(ada.workspace, name="Ravi")
    with time_machine.travel(datetime(2026, 11, 22, 18, 30, tzinfo=UTC), tick=False):
        note(ravi, "ravi exported")
    note(ravi, "ravi looked", AccessKind.BUYER_DATA)
    assert sentences(admin.get(f"{LOG}?person={ravi.id}")) == ["ravi looked", "ravi exported"]
    assert sentences(admin.get(f"{LOG}?person={ravi.id}&sort=oldest")) == ["ravi exported", "ravi looked"]
    assert sentences(admin.get(f"{LOG}?kind=Signed+in")) == ["Ada signed in"]
    assert sentences(admin.get(f"{LOG}?person={ravi.id}&kind=Export")) == ["ravi exported"]
    assert sentences(admin.get(f"{LOG}?from=2026-11-23&to=2026-11-23&person={ravi.id}")) == ["ravi exported"]
    page = admin.get(f"{LOG}?kind=Role+and+access")
    assert "Nothing in the access log fits these filters." in page.text


@pytest.mark.parametrize("query", ["from=yesterday", "person=999", f"kind={XSS}", "page=%ff", "to=9999-12-31"])
def test_odd_filters_are_never_a_fault(admin, query) -> None:
    for path in (LOG, "/access-log.csv"):
        answer = admin.get(f"{path}?{query}")
        assert answer.status_code == 200
        assert XSS not in answer.text


def test_a_row_leads_to_what_it_was_about(admin, ada, seller) -> None:
    order = make_order(make_store(seller))
    note(ada, f"looked {XSS}", AccessKind.BUYER_DATA, order=order)
    page = admin.get(LOG).text
    assert f'href="/orders/{order.id}"' in page
    assert f'href="/admin/users/{ada.id}"' in page
    assert XSS not in page


def test_a_row_of_a_skus_evidence_pack_leads_to_the_sku(admin, seller) -> None:
    store = make_store(seller, name="Pune Store")
    listing = make_listing(store, "MUG-STD")
    level = make_stock(seller, make_hub(seller.workspace), "MUG-STD")
    of_listing, of_stock = f"/stores/{store.id}/catalog/{listing.id}", f"/stock/{level.id}"
    for path in (of_listing, of_stock):
        assert admin.get(f"{path}/evidence.zip").status_code == 200
    log = f"{LOG}?kind=Export"
    page = admin.get(log)
    assert sentences(page) == [
        "Ada exported the evidence for SKU MUG-STD",
        "Ada exported the evidence for SKU MUG-STD of Pune Store",
    ]
    for path in (of_listing, of_stock):
        assert f'href="{path}"' in page.text

    with transaction() as session:
        session.delete(session.merge(listing))
    page = admin.get(log).text
    assert f'href="{of_listing}"' not in page
    assert f'href="/stores/{store.id}"' in page, "the listing is gone, and its store is there"


def test_only_admins_read_it(ada, signed_in) -> None:
    for role, values in ((Role.MERCHANT, {}), (Role.SUPPORT, {}), (Role.MERCHANT, {"sellers": []})):
        browser = signed_in(make_user(ada.workspace, role, **values))
        for path in (LOG, "/access-log.csv"):
            assert browser.get(path).status_code == 403
        assert "Access log" not in browser.get("/").text


def test_rows_of_no_workspace_and_of_another_one_are_not_shown(admin, app) -> None:
    app.test_client().post("/sign-in", data={"email": "nobody@nowhere.example", "password": "x"})
    note(make_user(make_workspace()), "of another workspace")
    assert sentences(admin.get(LOG)) == ["Ada signed in"]
    assert "another workspace" not in admin.get("/access-log.csv").text


def test_every_download_leaves_a_row(admin, ada, seller) -> None:
    store = make_store(seller, name="Pune Store")
    recovery, upload = make_recovery(store), make_upload(store)
    for path in (
        "/configuration-log.csv",
        f"/stores/{store.id}/configuration-log.csv",
        f"/stores/{store.id}/catalog/export.csv",
        f"/stores/{store.id}/prices/export.csv",
        f"/stores/{store.id}/recover/{recovery.id}/ids.csv",
        f"/uploads/{upload.id}/refused.csv",
        "/stock/export.csv",
        "/access-log.csv",
    ):
        assert admin.get(path).status_code == 200, path
    rows = db.session.scalars(
        db.select(AccessEvent).where(AccessEvent.kind == AccessKind.EXPORT).order_by(AccessEvent.id)
    )
    assert [row.sentence.removeprefix("Ada exported ") for row in rows] == [
        "the Configuration Log",
        "the Configuration Log of Pune Store",
        "the catalog of Pune Store",
        "the prices of Pune Store",
        f"the ids of recovery {recovery.id} of Pune Store",
        f"the refused rows of upload {upload.id} of Pune Store",
        "the stock",
        "the access log",
    ]


def test_a_sign_in_that_is_held_back_leaves_a_row(app, ada, admin) -> None:
    limiter.reset()
    browser = app.test_client()
    for _ in range(6):
        answer = browser.post("/sign-in", data={"email": ada.email, "password": "wrong"})
    assert answer.status_code == 429
    limiter.reset()
    assert sentences(admin.get(f"{LOG}?kind=Sign-in+held+back")) == [
        "Somebody tried to sign in as Ada too often within a short time"
    ]
    assert len(sentences(admin.get(f"{LOG}?kind=Sign-in+refused"))) == 5


# The file -------------------------------------------------------------------------------------------------------------


def test_the_file_ends_with_how_many_rows_it_has(admin, ada, monkeypatch) -> None:
    monkeypatch.setattr(access_log_queries, "ROWS_AT_A_TIME", 3)
    for n in range(7):
        note(ada, f"{n}", AccessKind.DOCUMENT)
    headings, *rows, end = file_rows(admin.get("/access-log.csv?kind=Document&sort=oldest"))
    assert tuple(headings) == access_log_queries.EXPORT_HEADINGS
    assert [row[-1] for row in rows] == [str(n) for n in range(7)]
    assert end == ["END OF FILE: 7 rows, nothing is missing."]


def test_a_file_with_more_rows_than_it_may_hold_says_that_it_was_cut_off(admin, ada, monkeypatch) -> None:
    monkeypatch.setattr(csv_export, "AT_MOST", 2)
    for n in range(3):
        note(ada, f"{n}", AccessKind.DOCUMENT)
    assert file_rows(admin.get("/access-log.csv?kind=Document"))[-1] == [
        "CUT OFF after 2 rows: a file holds no more than 2. Narrow the days and export the rest."
    ]
    assert "A file holds at most 2 rows." in admin.get(LOG).text
    note(ada, "x", AccessKind.BUYER_DATA)
    assert file_rows(admin.get("/access-log.csv?kind=Buyer+data"))[-1][0].startswith("END OF FILE: 1 row,")


def test_a_file_that_takes_too_long_says_that_it_was_cut_off(monkeypatch) -> None:
    monkeypatch.setattr(csv_export, "SECONDS_AT_MOST", -1)
    *_, end = csv_export.lines_with_end(["a"], [[1]])
    assert end.startswith("CUT OFF after 0 rows: reading took longer")


def test_a_file_that_cannot_be_read_on_says_that_it_was_cut_off(app) -> None:
    def rows():
        yield [1]
        raise OperationalError("SELECT", {}, Exception("the disk is gone"))

    *_, end = csv_export.lines_with_end(["a"], rows())
    assert end.startswith("CUT OFF after 1 row: FlexDash could not read on.")


def test_the_page_takes_as_many_queries_for_many_rows_as_for_one(admin, ada) -> None:
    def n_queries() -> int:
        statements: list[str] = []
        event.listen(db.engine, "before_cursor_execute", watch := lambda *args: statements.append(args[2]))
        try:
            assert admin.get(LOG).status_code == 200
        finally:
            event.remove(db.engine, "before_cursor_execute", watch)
        return len(statements)

    few = n_queries()
    store = make_store(make_seller(ada.workspace))
    for n in range(30):
        note(make_user(ada.workspace), f"{n}", store=store)
    assert n_queries() == few
