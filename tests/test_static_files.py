"""What browsers keep: files whose address names their content, and nothing else."""

import re

import pytest

from flexdash.models import Role
from tests.factories import make_user

FOR_GOOD = "public, max-age=31536000, immutable"
NAMES = ("/static/css/theme.css", "/static/js/flexdash.js", "/static/img/favicon.svg")


def static_addresses(page):
    return re.findall(r'(?:href|src)="((?:/bootstrap)?/static/[^"]+)"', page.text)


def test_each_file_of_a_page_is_kept_for_good_under_its_content(workspace, signed_in) -> None:
    client = signed_in(make_user(workspace, Role.ADMIN))
    addresses = static_addresses(client.get("/orders"))
    assert {*NAMES, "/bootstrap/static/css/bootstrap.min.css"} <= {address.split("?")[0] for address in addresses}
    for address in addresses:
        answer = client.get(address)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, FOR_GOOD), address
        assert "Set-Cookie" not in answer.headers
        assert "Cookie" not in answer.headers.get("Vary", "")
        again = client.get(address, headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.headers["Cache-Control"]) == (304, FOR_GOOD), address


def test_a_file_that_changes_gets_another_address(app, client, tmp_path, monkeypatch) -> None:
    (tmp_path / "css").mkdir()
    theme = tmp_path / "css" / "theme.css"
    theme.write_text("body { color: red }")
    monkeypatch.setattr(app, "static_folder", str(tmp_path))

    def address():
        return next(found for found in static_addresses(client.get("/sign-in")) if "theme.css" in found)

    before = address()
    assert client.get(before).text == "body { color: red }"
    theme.write_text("body { color: blue; }")
    after = address()
    assert after != before
    assert client.get(after).headers["Cache-Control"] == FOR_GOOD
    assert client.get(before).headers["Cache-Control"] == "no-cache", "what is there now is not what it was named for"


@pytest.mark.parametrize("asked", ["", "?v=", "?v=of-another-release"])
def test_without_the_version_of_its_content_a_file_is_asked_for_each_time(client, asked) -> None:
    answer = client.get(f"/static/css/theme.css{asked}")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-cache")


def test_a_version_makes_nothing_else_be_kept(client, workspace, signed_in) -> None:
    version = static_addresses(client.get("/sign-in"))[0].split("?")[1]
    assert client.get(f"/static/css/none.css?{version}").headers["Cache-Control"] == "no-store"
    person = signed_in(make_user(workspace, Role.ADMIN))
    assert person.get(f"/configuration-log.csv?{version}").headers["Cache-Control"] == "no-store"
