"""The filters of the templates, the menu, the components' promises, and the banner when Redis is away."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from flask import Flask, g, render_template_string
from flask_login import login_user
from flask_wtf import FlaskForm
from markupsafe import Markup
from werkzeug.datastructures import MultiDict
from wtforms import BooleanField, PasswordField, RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired

from flexdash import templating
from flexdash.models import Role
from flexdash.templating import menu, redis_watch
from tests.factories import make_user, make_workspace
from tests.support.servers import free_port

MOMENT = datetime(2026, 11, 23, 18, 35, 9, tzinfo=UTC)


# Times


def plain(shown: str) -> str:
    """Return what is shown with common spaces; the others keep a day or a time on one line."""
    return shown.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("zone", "form", "words"),
    [
        ("Asia/Kolkata", "minute", "24 Nov 2026, 00:05 IST"),
        ("Asia/Kolkata", "second", "24 Nov 2026, 00:05:09 IST"),
        ("Europe/Berlin", "day", "23 Nov 2026"),
        ("Europe/Berlin", "clock", "19:35 CET"),
        ("Asia/Dubai", "minute", "23 Nov 2026, 22:35 UTC+04:00"),
        ("No/Such", "minute", "23 Nov 2026, 18:35 UTC"),
    ],
)
def test_local_time_names_the_zone(zone: str, form: str, words: str) -> None:
    shown = templating.local_time(MOMENT, form, zone=zone)
    assert f">{words}</time>" in plain(shown)
    assert 'datetime="2026-11-23T18:35:09Z"' in shown


def test_the_two_hours_of_an_autumn_night_are_told_apart() -> None:
    first = templating.local_time(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), zone="Europe/Berlin")
    second = templating.local_time(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), zone="Europe/Berlin")
    assert "02:30 CEST" in plain(first)
    assert "02:30 CET" in plain(second)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-10, "just now"),
        (20, "in a moment"),
        (-60, "1 minute ago"),
        (-7 * 60, "7 minutes ago"),
        (-59 * 60, "59 minutes ago"),
        (-3599, "1 hour ago"),
        (-2 * 3600, "2 hours ago"),
        (12 * 60, "in 12 minutes"),
        (-26 * 3600, "1 day ago"),
        (40 * 86_400, "2 Jan 2027"),
    ],
)
def test_relative_time_speaks_plainly(seconds: int, words: str) -> None:
    with time_machine.travel(MOMENT, tick=False):
        shown = templating.relative_time(MOMENT + timedelta(seconds=seconds))
    assert f">{words}</time>" in plain(shown)


def test_a_time_that_is_not_there_says_so() -> None:
    assert templating.local_time(None) == "–"
    assert templating.relative_time(None) == "never"
    assert templating.relative_time(None, "<b>") == "&lt;b&gt;"


def test_times_stand_in_the_viewers_zone_else_the_workspaces(app: Flask) -> None:
    workspace = make_workspace(time_zone="Asia/Tokyo")
    for user, zone in (
        (make_user(workspace), "Asia/Tokyo"),
        (make_user(workspace, time_zone="Europe/Berlin"), "Europe/Berlin"),
    ):
        with app.test_request_context():
            login_user(user)
            g.pop("viewer_zone", None)
            assert templating.viewer_zone().key == zone


# Figures


@pytest.mark.parametrize(
    ("value", "currency", "words"),
    [
        (Decimal("1234567.5"), "INR", "1,234,567.50\N{NO-BREAK SPACE}INR"),
        (Decimal("0.125"), "USD", "0.125\N{NO-BREAK SPACE}USD"),
        (Decimal("1500"), "JPY", "1,500\N{NO-BREAK SPACE}JPY"),
        (Decimal("1E+3"), "EUR", "1,000.00\N{NO-BREAK SPACE}EUR"),
        (Decimal("-3.10"), "", "-3.10"),
        (None, "INR", "–"),
    ],
)
def test_money_keeps_every_digit(value: Decimal | None, currency: str, words: str) -> None:
    assert templating.money(value, currency) == words


def test_count_sets_thousands_apart_and_minds_the_number() -> None:
    assert templating.count(1204) == "1,204"
    assert templating.count(1, "order") == "1 order"
    assert templating.count(0, "order") == "0 orders"
    assert templating.count(2, "entry", "entries") == "2 entries"
    assert templating.count(None, "order") == "–"


# Tables


def test_cells_carry_their_columns_heading_and_stay_a_table() -> None:
    rows = '<tr><th scope="row">A</th><td class="number">1</td></tr><tr><td colspan="2">x</td></tr>'
    shown = templating.label_cells(rows, ["Order", ("Total <b>", "number")])
    assert shown == (
        '<tr role="row"><th scope="row" role="rowheader" data-label="Order"><div class="cell">A</div></th>'
        '<td class="number" role="cell" data-label="Total &lt;b&gt;"><div class="cell">1</div></td></tr>'
        '<tr role="row"><td colspan="2" role="cell" data-label=""><div class="cell">x</div></td></tr>'
    )


def test_a_value_in_a_table_cannot_become_markup(app: Flask) -> None:
    with app.test_request_context():
        html = render_template_string(
            '{% from "components/tables.html" import table %}'
            '{% call table("T", ["SKU"]) %}<tr><td>{{ sku }}</td></tr>{% endcall %}',
            sku="<svg onload=alert(1)><td>",
        )
    assert "<svg onload" not in html
    assert html.count("<td") == 1


# Forms


class ExampleForm(FlaskForm):
    name = StringField("Store name", validators=[DataRequired("Enter a name for the store.")])
    password = PasswordField("Password", validators=[DataRequired("Enter your password.")])
    country = SelectField("Country", choices=[SelectChoice("IN", "India"), SelectChoice("JP", "Japan")])
    is_on = BooleanField("Order Sync")
    kind = RadioField("Role", choices=[SelectChoice("a", "Merchant")], validators=[DataRequired("Choose a role.")])


PAGE = """
{% from "components/forms.html" import error_summary, field, form_open, form_close, post_button %}
{{ error_summary(form) }}{{ form_open() }}
{{ field(form.name, hint="As people know it.", autocomplete="off", maxlength=9) }}{{ field(form.password) }}
{{ field(form.country, optional=True) }}{{ field(form.is_on) }}{{ field(form.kind) }}
{{ form_close() }}{{ post_button("/go", "Go", hidden={"sync": "a<b"}, context="for Pune") }}
"""


def shown_form(app: Flask, **typed: str) -> str:
    with app.test_request_context(method="POST"):
        form = ExampleForm(MultiDict(typed), meta={"csrf": False})
        form.validate()
        return render_template_string(PAGE, form=form)


def test_a_refused_form_links_each_problem_to_its_field_and_keeps_what_was_typed(app: Flask) -> None:
    html = shown_form(app, country="JP", password="hunter2hunter2")
    assert "There is a problem" in html
    assert 'tabindex="-1" autofocus' in html
    assert '<a href="#name">Enter a name for the store.</a>' in html
    assert '<a href="#kind-0">Choose a role.</a>' in html
    assert 'aria-describedby="name-hint name-error"' in html
    assert 'id="name-error"' in html
    assert html.count("Enter a name for the store.") == 2
    assert 'aria-invalid="true"' in html
    assert '<option selected value="JP">' in html
    assert "hunter2hunter2" not in html
    assert "novalidate" in html


def test_a_form_without_a_problem_has_no_summary(app: Flask) -> None:
    html = shown_form(app, name="Pune", password="x", country="IN", kind="a")
    assert "There is a problem" not in html
    assert "aria-invalid" not in html
    assert 'maxlength="9"' in html
    assert "(optional)" in html


def test_every_form_carries_the_token(app: Flask) -> None:
    html = shown_form(app)
    assert html.count('name="csrf_token"') == 2
    assert 'value="a&lt;b"' in html
    assert "Go<span" in html


# The frame


@pytest.mark.parametrize(
    ("role", "sees_users"), [(Role.ADMIN, True), (Role.MERCHANT, False), (Role.SUPPORT, False)], ids=str
)
def test_the_menu_shows_what_the_role_may_open(app: Flask, signed_in, role: Role, sees_users: bool) -> None:
    html = signed_in(make_user(make_workspace(), role)).get("/").text
    assert (">Users</span>" in html) is sees_users
    assert ">Orders</span>" in html
    assert 'href="/" aria-current="page"' in html


def test_every_entry_of_the_menu_leads_somewhere(app: Flask) -> None:
    paths = [item.path for _, items in menu.MENU for item in items]
    with app.app_context():
        assert [path for path in paths if menu._endpoint_of(path) is None] == []


def test_a_page_under_an_entry_marks_it() -> None:
    apps = next(item for _, items in menu.MENU for item in items if item.path == "/apps")
    assert apps.reach("/stores/3/hubs")
    assert apps.reach("/apps/amazon-seller-flex")
    assert not apps.reach("/applause")


def test_the_banner_stands_while_redis_is_away(app: Flask, signed_in, monkeypatch) -> None:
    browser = signed_in(make_user(make_workspace()))
    assert "Redis is away" not in browser.get("/").text
    away = templating.RedisWatch(f"redis://127.0.0.1:{free_port()}/0")
    monkeypatch.setitem(app.extensions, "flexdash_redis_watch", away)
    answer = browser.get("/")
    assert answer.status_code == 200
    assert "Redis is away" in answer.text


def test_redis_is_asked_at_most_every_few_seconds(monkeypatch) -> None:
    watch = templating.RedisWatch("redis://127.0.0.1:1/0")
    answers = iter([False, True])
    monkeypatch.setattr(watch, "_answers", lambda: next(answers))
    seconds = iter([0.0, 0.0, 1.0, 4.9, 5.1, 5.1])
    monkeypatch.setattr(redis_watch.time, "monotonic", lambda: next(seconds))
    assert watch.is_away()
    assert watch.is_away()
    assert watch.is_away()
    assert not watch.is_away()


def test_a_stranger_may_nothing(app: Flask) -> None:
    with app.test_request_context():
        assert templating.may("CONNECT_STORES") is False


def test_markup_survives_the_facts_and_text_does_not(app: Flask) -> None:
    with app.test_request_context():
        html = render_template_string(
            '{% from "components/page.html" import facts %}{{ facts([("A", a), ("B", b), ("C", None)]) }}',
            a=Markup("<b>x</b>"),
            b="<i>",
        )
    assert "<dd><b>x</b></dd>" in html
    assert "<dd>&lt;i&gt;</dd>" in html
    assert "<dd>–</dd>" in html
