"""`flexdash seed`: the demo workspace, whole, once, and never in production."""

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from flexdash.cli.seed import command, seed_demo
from flexdash.extensions import db
from flexdash.models import ConfigEvent, Hub, Role, Seller, Sku, StockLevel, StockMovement, Store, User, Workspace
from flexdash.services import demo, passwords, sign_in
from flexdash.services.errors import NotAllowed
from tests.factories import make_workspace
from tests.support.ledgers import stock_problems


def n_of(model):
    return db.session.scalar(select(func.count()).select_from(model))


def test_the_demo_workspace_has_all_but_a_store(app):
    sign_ins = seed_demo(app)
    workspace = db.session.scalars(select(Workspace)).one()
    assert (workspace.name, workspace.time_zone) == ("Demo Company", "Asia/Kolkata")
    assert {hub.code: hub.is_active for hub in db.session.scalars(select(Hub))} == {
        "PUNE": True,
        "BLR": True,
        "DXB": True,
        "DEL": False,
    }
    assert sorted(db.session.scalars(select(Seller.name))) == ["Alpine Goods", "Nova Home", "Sunrise Retail"]
    assert n_of(Sku) == 30
    levels = db.session.scalars(select(StockLevel)).all()
    assert len(levels) == n_of(StockMovement) == 3 * 3 * 10  # sellers, active hubs, SKUs
    assert all(level.available for level in levels)
    assert stock_problems() == []
    assert n_of(Store) == 0
    assert n_of(ConfigEvent) == 1
    assert {role for role, _, _ in sign_ins} == {role.value for role in Role}
    for _, email, password in sign_ins:
        assert sign_in.begin(email, password)


def test_a_second_time_changes_nothing(app):
    first = seed_demo(app)
    db.session.scalars(select(Seller)).first().name = "Renamed"
    db.session.commit()
    assert seed_demo(app) == first
    assert (n_of(Workspace), n_of(User), n_of(Hub), n_of(Seller), n_of(Sku)) == (1, 3, 4, 3, 30)


def test_a_password_that_was_changed_is_not_promised(app):
    seed_demo(app)
    user = db.session.scalars(select(User).where(User.role == Role.ADMIN)).one()
    user.password_hash = passwords.hash_password("correct horse battery staple")
    db.session.commit()
    changed = {role: password for role, _, password in seed_demo(app)}
    assert changed["admin"] == "(the one it was changed to)"
    assert changed["merchant"] == "demo-merchant-pass"


def test_two_at_once_make_one(app, monkeypatch):
    make_workspace(demo.WORKSPACE)
    answers = iter([False, False, True])
    monkeypatch.setattr(demo, "_exists", lambda: next(answers))  # the other one came in between
    assert demo.make() is False
    assert n_of(Workspace) == 1


def test_production_refuses_it(app, monkeypatch):
    production = replace(app.config["SETTINGS"], flexdash_env="production")
    monkeypatch.setitem(app.config, "SETTINGS", production)
    with pytest.raises(NotAllowed):
        seed_demo(app)
    result = app.test_cli_runner().invoke(command)
    assert result.exit_code == 1
    assert "flexdash create-user" in result.output
    assert n_of(Workspace) == 0


def test_the_command_prints_one_sign_in_per_role(app):
    result = app.test_cli_runner().invoke(command)
    assert result.exit_code == 0, result.output
    for email in ("merchant@demo.example", "admin@demo.example", "support@demo.example"):
        assert email in result.output
