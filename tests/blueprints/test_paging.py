"""Keyset paging: every row once, in both directions, whatever happens to the table or the address meanwhile."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import event, select
from werkzeug.datastructures import MultiDict

from flexdash.blueprints.paging import Column, Page, keyset_page
from flexdash.extensions import db
from flexdash.models import Hub, Order, Workspace
from tests.factories import make_hub, make_order, make_seller, make_store, make_workspace

NEWEST_FIRST: list[Column] = [(Hub.id, "desc")]


@pytest.fixture
def workspace(app) -> Workspace:
    return make_workspace()


def add_hubs(workspace: Workspace, n: int) -> list[int]:
    db.session.add_all(
        Hub(workspace_id=workspace.id, code=f"H{i:03d}", name=f"Hub {i % 3}", city="AB"[i % 2]) for i in range(n)
    )
    db.session.commit()
    return list(db.session.scalars(select(Hub.id).order_by(Hub.id)))


def arguments(url: str | None) -> MultiDict[str, str]:
    return MultiDict(parse_qs(urlsplit(url or "").query))


def page_of(args: MultiDict[str, str], columns: Sequence[Column] = NEWEST_FIRST, size: int = 10) -> Page:
    return keyset_page(select(Hub), columns, args, size)


def walk(columns: Sequence[Column], way: str, start: str | None = None) -> tuple[list[int], str | None]:
    """Return the ids of all pages in one direction, and the address of the page before the last one."""
    ids: list[int] = []
    args, n_pages = arguments(start), 1
    while True:
        page = page_of(args, columns)
        ids = ids + [hub.id for hub in page.items] if way == "next" else [hub.id for hub in page.items] + ids
        url = page.next_url if way == "next" else page.previous_url
        if url is None:
            return ids, page.previous_url
        args, n_pages = arguments(url), n_pages + 1
        assert n_pages < 20, "the pages go round in a circle"


@pytest.mark.parametrize("n_rows", [0, 1, 10, 11, 35])
def test_walking_forward_shows_every_row_once(workspace: Workspace, n_rows: int) -> None:
    ids = add_hubs(workspace, n_rows)
    assert walk(NEWEST_FIRST, "next")[0] == list(reversed(ids))


@pytest.mark.parametrize(
    "columns",
    [
        [(Hub.id, "asc")],
        [(Hub.name, "asc"), (Hub.id, "asc")],
        [(Hub.name, "desc"), (Hub.id, "asc")],
        [(Hub.city, "asc"), (Hub.name, "desc"), (Hub.id, "desc")],
        [(Hub.created_at, "desc"), (Hub.id, "asc")],
    ],
    ids=["one", "two alike", "two mixed", "three mixed", "a time"],
)
def test_walking_back_shows_the_same_rows_in_the_same_order(workspace: Workspace, columns: list[Column]) -> None:
    ids = add_hubs(workspace, 37)
    forward, before_the_end = walk(columns, "next")
    assert sorted(forward) == ids
    order = [column.desc() if way == "desc" else column.asc() for column, way in columns]
    assert forward == list(db.session.scalars(select(Hub.id).order_by(*order)))
    last_page = forward[30:]
    backward, _ = walk(columns, "previous", before_the_end)
    assert backward == forward[: len(forward) - len(last_page)]


def test_rows_that_arrive_meanwhile_neither_double_nor_hide_any(workspace: Workspace) -> None:
    ids = add_hubs(workspace, 20)
    first = page_of(MultiDict())
    make_hub(workspace)
    second = page_of(arguments(first.next_url))
    assert [hub.id for hub in [*first.items, *second.items]] == list(reversed(ids))


def test_a_page_whose_boundary_row_is_gone_still_follows(workspace: Workspace) -> None:
    add_hubs(workspace, 20)
    first = page_of(MultiDict())
    expected = [hub.id for hub in page_of(arguments(first.next_url)).items]
    db.session.delete(first.items[-1])
    db.session.commit()
    assert [hub.id for hub in page_of(arguments(first.next_url)).items] == expected


def test_going_back_to_the_beginning_shows_a_whole_first_page(workspace: Workspace) -> None:
    add_hubs(workspace, 20)
    second = page_of(arguments(page_of(MultiDict()).next_url))
    for hub in page_of(MultiDict()).items[:4]:
        db.session.delete(hub)
    db.session.commit()
    first = page_of(arguments(second.previous_url))
    assert len(first.items) == 10
    assert first.previous_url is None


def test_the_first_page_comes_when_everything_after_the_cursor_is_gone(workspace: Workspace) -> None:
    add_hubs(workspace, 15)
    first = page_of(MultiDict())
    for hub in page_of(arguments(first.next_url)).items:
        db.session.delete(hub)
    db.session.commit()
    assert [hub.id for hub in page_of(arguments(first.next_url)).items] == [hub.id for hub in first.items]


def test_filters_stay_in_the_address(workspace: Workspace) -> None:
    add_hubs(workspace, 15)
    page = page_of(MultiDict([("state", "On Hold"), ("hub", "1"), ("hub", "2"), ("q", "")]))
    kept = arguments(page.next_url)
    assert kept.pop("page")
    assert dict(kept.lists()) == {"state": ["On Hold"], "hub": ["1", "2"]}


def cursor(*content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


def test_a_cursor_of_another_order_is_ignored(workspace: Workspace) -> None:
    add_hubs(workspace, 15)
    next_url = page_of(MultiDict()).next_url
    by_name = page_of(arguments(next_url), [(Hub.name, "asc"), (Hub.id, "asc")])
    assert by_name.previous_url is None


@pytest.mark.parametrize("value", [2**31, -(2**40), 10**30, "1", None, True, 1.5, [1], {"a": 1}])
def test_a_cursor_with_a_value_the_column_cannot_hold_is_ignored(workspace: Workspace, value: object) -> None:
    add_hubs(workspace, 15)
    raw = arguments(page_of(MultiDict()).next_url)["page"]
    way, fingerprint, _ = json.loads(base64.urlsafe_b64decode(raw + "=="))
    assert page_of(MultiDict({"page": cursor(way, fingerprint, value)})).previous_url is None


@pytest.mark.parametrize("value", ["2026-01-01T00:00:00", "0001-01-01T00:00:00+00:00", "soon", 5, "\ud800"])
def test_a_cursor_with_a_time_nobody_could_have_been_given_is_ignored(workspace: Workspace, value: object) -> None:
    add_hubs(workspace, 15)
    columns: list[Column] = [(Hub.created_at, "desc"), (Hub.id, "desc")]
    raw = arguments(page_of(MultiDict(), columns).next_url)["page"]
    way, fingerprint, _, last_id = json.loads(base64.urlsafe_b64decode(raw + "=="))
    assert page_of(MultiDict({"page": cursor(way, fingerprint, value, last_id)}), columns).previous_url is None


@given(st.text())
@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
def test_any_text_for_a_cursor_gives_the_first_page(app, text: str) -> None:
    assert page_of(MultiDict({"page": text})).previous_url is None


def test_a_column_no_cursor_can_hold_is_refused_at_once(workspace: Workspace) -> None:
    with pytest.raises(TypeError, match="is_active"):
        page_of(MultiDict(), [(Hub.is_active, "asc"), (Hub.id, "asc")])


def test_text_values_with_a_zero_byte_are_ignored(workspace: Workspace) -> None:
    add_hubs(workspace, 15)
    columns: list[Column] = [(Hub.code, "asc")]
    raw = arguments(page_of(MultiDict(), columns).next_url)["page"]
    way, fingerprint, _ = json.loads(base64.urlsafe_b64decode(raw + "=="))
    assert page_of(MultiDict({"page": cursor(way, fingerprint, "A\0B")}), columns).previous_url is None


def test_each_page_takes_one_query_however_deep(workspace: Workspace) -> None:
    add_hubs(workspace, 60)
    statements: list[str] = []

    def note(_connection, _cursor, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        page, n_pages = page_of(MultiDict()), 1
        while page.next_url:
            page, n_pages = page_of(arguments(page.next_url)), n_pages + 1
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    selects = [statement for statement in statements if statement.startswith("SELECT")]
    assert n_pages == 6
    assert len(selects) == n_pages


def test_rows_of_several_parts_page_by_one_of_them(workspace: Workspace) -> None:
    store = make_store(make_seller(workspace))
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    for n in range(5):
        make_order(store, placed_at=begin + timedelta(hours=n))
    query = select(Order, Workspace.name).join(Workspace, Workspace.id == Order.workspace_id)
    columns: list[Column] = [(Order.state, "asc"), (Order.id, "desc")]
    first = keyset_page(query, columns, MultiDict(), 3)
    second = keyset_page(query, columns, arguments(first.next_url), 3)
    assert [order.placed_at.hour for order, _ in [*first.items, *second.items]] == [4, 3, 2, 1, 0]
    assert {name for _, name in first.items} == {workspace.name}
