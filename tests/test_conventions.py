"""The promises that hold the house together: layers, a sign-in on every route, scoping, and documented settings."""

import ast
import dataclasses
import re
from functools import cache
from pathlib import Path

import pytest
from flask import Flask

from config import SETTINGS_TABLE
from flexdash.models import Role
from flexdash.services.actors import Permission
from tests.factories import make_user
from tests.support.routes import all_routes

ROOT = Path(__file__).parent.parent
PUBLIC_ENDPOINTS = {
    "auth.sign_in",
    "health.healthz",
    "health.readyz",
    "health.metrics",
    "static",
    "bootstrap.static",
}
SIGNED_IN_ENDPOINTS_WITHOUT_PERMISSION = {
    "auth.sign_out",
    "auth.account",
    "auth.password",
    "auth.time_zone",
    "auth.revoke_session",
    "auth.revoke_other_sessions",
    "home.index",
    "orders.save_filter",
    "orders.remove_filter",
}

# What a layer may never import: the way down only.
FORBIDDEN = {
    "flexdash/amazon": ("flexdash.", "config", "flask", "sqlalchemy", "rq"),  # but flexdash.amazon itself
    "flexdash/models": ("flexdash.services", "flexdash.jobs", "flexdash.blueprints", "flexdash.cli", "flexdash.amazon"),
    "flexdash/services": (
        "flexdash.jobs",
        "flexdash.blueprints",
        "flexdash.cli",
        "flask_login",
        "flask_wtf",
        "wtforms",
        "rq",
        "rq_scheduler",
    ),
    "flexdash/blueprints": ("flexdash.amazon", "flexdash.cli", "flexdash.database", "rq", "rq_scheduler"),
    "flexdash/jobs": ("flexdash.blueprints", "flexdash.cli"),
    "flexdash": ("amazon_sandbox", "tests", "bench"),
    "amazon_sandbox": ("flexdash", "config", "tests", "bench"),
}


# Files of blueprints that speak to the database without access.visible, each for its reason.
MAY_ASK_THE_DATABASE = {
    "paging.py",  # runs the SELECT that it is handed
    "health/checks.py",  # asks whether the database answers and is migrated, and for nobody's rows
}


@cache
def imports_of(path: Path) -> set[str]:
    """Return the full names of all that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def is_within(name: str, package: str) -> bool:
    return name == package.rstrip(".") or name.startswith(package.rstrip(".") + ".")


@pytest.mark.parametrize("layer", FORBIDDEN)
def test_imports_go_down_only(layer: str) -> None:
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / layer).rglob("*.py"))
        for name in sorted(imports_of(path))
        if any(is_within(name, package) for package in FORBIDDEN[layer])
        and not (layer == "flexdash/amazon" and is_within(name, "flexdash.amazon"))
    ]
    assert broken == []


def test_services_know_no_request() -> None:
    request_things = {"flask.request", "flask.session", "flask.g", "flask.flash", "flask.url_for", "flask.redirect"}
    broken = {
        str(path.relative_to(ROOT)): found
        for path in (ROOT / "flexdash" / "services").rglob("*.py")
        if (found := imports_of(path) & request_things)
    }
    assert broken == {}


def test_blueprints_write_nothing_themselves() -> None:
    writing = re.compile(
        r"session\.(add|add_all|delete|commit|flush|merge)\(|\b(insert|update|delete)\([A-Z]|with transaction\("
    )
    broken = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in (ROOT / "flexdash" / "blueprints").rglob("*.py")
        for match in writing.finditer(path.read_text())
    ]
    assert broken == []


def test_blueprints_select_through_access_only() -> None:
    """A SELECT of a page begins with `access.visible`, which keeps it within what the person may see."""
    blueprints = ROOT / "flexdash" / "blueprints"
    makes_selects = re.compile(
        r"(?<![.\w])(?:(?:db|sa|sqlalchemy)\.)?select\(|\.query\b|db\.session\.(?:get|query|get_one)\("
    )
    broken = []
    for path in sorted(blueprints.rglob("*.py")):
        name, text = str(path.relative_to(blueprints)), path.read_text()
        broken += [f"{name}: {match.group()}" for match in makes_selects.finditer(text)]
        if "db.session" in text and "access.visible(" not in text and name not in MAY_ASK_THE_DATABASE:
            broken.append(f"{name}: asks the database for something that is not of access.visible")
    assert broken == []


def test_jobs_are_enqueued_through_one_door() -> None:
    outside = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / "flexdash").rglob("*.py"))
        if not path.is_relative_to(ROOT / "flexdash" / "jobs")
        for name in sorted(imports_of(path))
        if is_within(name, "rq") or is_within(name, "rq_scheduler")
    ]
    assert outside == []


def test_templates_run_no_queries() -> None:
    query = re.compile(r"\bdb\.|\.query\b|session\.(execute|scalars|get)|\bselect\(")
    broken = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in (ROOT / "flexdash" / "templates").rglob("*.html")
        for match in query.finditer(path.read_text())
    ]
    assert broken == []


def test_what_a_step_lacks_is_asked_of_the_step() -> None:
    """Its error code stands in one place: pages and verbs that spelled it for themselves would part some day."""
    spelled = re.compile(r"""error_code\s*[!=]=\s*["']|(code|CODE)\s*[!=]=\s*["']missing|,\s*"missing"\s*,""")
    broken = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for pattern in ("templates/**/*.html", "services/**/*.py", "blueprints/**/*.py")
        for path in (ROOT / "flexdash").glob(pattern)
        for match in spelled.finditer(path.read_text())
    ]
    assert broken == []


def test_pages_carry_no_inline_script_or_style() -> None:
    inline = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son(?!ly=)[a-z]+=|href=\"javascript:", re.IGNORECASE)
    broken = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for folder in ("flexdash", "amazon_sandbox")
        for path in (ROOT / folder).rglob("*.html")
        for match in inline.finditer(path.read_text())
    ]
    assert broken == []


@pytest.mark.parametrize("path", sorted((ROOT / "flexdash/static").rglob("*.css")), ids=lambda path: path.name)
def test_every_rule_of_a_stylesheet_is_closed(path: Path) -> None:
    """One that is not swallows the rules after it, and no browser complains."""
    css = re.sub(r"/\*.*?\*/|\"[^\"]*\"", "", path.read_text(), flags=re.DOTALL)
    assert css.count("{") == css.count("}")
    assert re.findall(r"\{[^{}@]*\{", re.sub(r"@[^{]+\{", "", css)) == [], "a rule stands within a rule"


def test_every_route_asks_for_a_sign_in(app: Flask) -> None:
    undeclared = [endpoint for endpoint, view in app.view_functions.items() if not hasattr(view, "access")]
    assert set(undeclared) <= PUBLIC_ENDPOINTS
    declared_public = {endpoint for endpoint, view in app.view_functions.items() if _access(view) == "public"}
    assert declared_public <= PUBLIC_ENDPOINTS
    for_everyone = {endpoint for endpoint, view in app.view_functions.items() if _access(view) == "signed_in"}
    assert for_everyone <= SIGNED_IN_ENDPOINTS_WITHOUT_PERMISSION
    others = set(app.view_functions) - PUBLIC_ENDPOINTS - for_everyone
    assert all(isinstance(_access(app.view_functions[endpoint]), Permission) for endpoint in others)


def test_what_deletes_or_ends_something_asks_on_a_page_of_its_own(app: Flask) -> None:
    """Known by the verb in its name. (The toggles of a store have one form for on and off: tests of their page.)"""
    verb = re.compile(r"\.(cancel|deactivate|delete|disconnect|discard|end|remove|renew|reset|revert|revoke)(_|$)")
    ending = {route.endpoint for route in all_routes(app) if route.method == "POST" and verb.search(route.endpoint)}
    assert len(ending) >= 14
    asked = {route.endpoint for route in all_routes(app) if route.method == "GET"}
    assert ending - asked == set()
    button = re.compile(r"""(?:post_button\(|form_open\(|action="\{\{ )url_for\(["']([\w.]+)["']""")
    at_once = [
        f"{path.relative_to(ROOT)}: {endpoint}"
        for path in (ROOT / "flexdash" / "templates").rglob("*.html")
        for endpoint in button.findall(path.read_text())
        if endpoint in ending or f"{path.parent.name}{endpoint}" in ending
    ]
    assert at_once == []


def test_a_stranger_is_sent_to_the_sign_in_page(app: Flask) -> None:
    client = app.test_client()
    let_in = []
    for route in all_routes(app):
        if route.endpoint in PUBLIC_ENDPOINTS:
            continue
        response = client.open(route.path(), method=route.method)
        if response.status_code not in (302, 303) or "/sign-in" not in response.location:
            let_in.append((route.method, route.rule, response.status_code))
    assert let_in == []


def test_every_evidence_pack_question_and_verification_counts_as_a_look_up(
    app: Flask, workspace, signed_in, monkeypatch
) -> None:
    settings = dataclasses.replace(app.config["SETTINGS"], lookup_limit="1 per minute")
    monkeypatch.setitem(app.config, "SETTINGS", settings)
    lookups = [
        route
        for route in all_routes(app)
        if route.rule.endswith("evidence.zip")
        or route.endpoint == "audit.verify_now"
        or (route.endpoint.startswith("help.") and route.endpoint != "help.index")
    ]
    assert len(lookups) >= 8
    person = signed_in(make_user(workspace, Role.ADMIN))
    # The only one that there is: together they have one limit.
    person.open(f"{lookups[0].path()}?q=1", method=lookups[0].method)
    answers = {route.rule: person.open(f"{route.path()}?q=1", method=route.method).status_code for route in lookups}
    assert [rule for rule, status in answers.items() if status != 429] == []


def test_every_template_of_an_area_belongs_to_an_endpoint(app: Flask) -> None:
    shared = {"layouts", "components", "partials", "errors"}
    endpoints = set(app.view_functions)
    orphans = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "flexdash" / "templates").glob("*/*.html")
        if path.parent.name not in shared
        and not path.name.startswith("_")
        and f"{path.parent.name}.{path.stem}" not in endpoints
    ]
    assert orphans == []


def test_every_setting_is_documented_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", readme, re.MULTILINE))
    assert documented == {setting.name for setting in SETTINGS_TABLE}


def _access(view: object) -> object:
    return getattr(view, "access", None)
