"""Why something was changed: asked for beside the change, kept with its row of the Configuration Log."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from flexdash.extensions import db
from flexdash.models import ConfigEvent, Role, Store
from tests.factories import make_actor, make_hub, make_seller, make_store, make_user, make_workspace
from tests.support.uploads import catalog, checked, work

WHY = "Agreed with the auditors"
TOO_LONG = "x" * 301


@pytest.fixture
def asha(app):
    return make_user(make_workspace(), Role.ADMIN, name="Asha")


@pytest.fixture
def admin(asha, signed_in):
    """A browser in which the admin Asha is signed in."""
    return signed_in(asha)


def role(asha) -> tuple[str, dict[str, str]]:
    ravi = make_user(asha.workspace, name="Ravi")
    return f"/admin/users/{ravi.id}", {"name": "Ravi", "email": ravi.email, "role": "support"}


def password(asha) -> tuple[str, dict[str, str]]:
    ravi = make_user(asha.workspace, name="Ravi")
    return f"/admin/users/{ravi.id}/reset-password", {"password": "correct horse battery staple"}


def hub(asha) -> tuple[str, dict[str, str]]:
    made = make_hub(asha.workspace, "PUNE")
    values = {"code": "PUNE", "name": "Other name", "country_code": "IN", "time_zone": "Asia/Kolkata"}
    return f"/admin/hubs/{made.id}", values


def seller(asha) -> tuple[str, dict[str, str]]:
    return f"/admin/sellers/{make_seller(asha.workspace, 'Nova').id}/rename", {"name": "Nova Home"}


def store_name(asha) -> tuple[str, dict[str, str]]:
    return f"/stores/{make_store(make_seller(asha.workspace)).id}/rename", {"name": "Pune Store"}


def upload(asha) -> tuple[str, dict[str, str]]:
    made = checked(make_actor(asha), make_store(make_seller(asha.workspace)), catalog("TEE,B0TESTTEE1,Tee"))
    return f"/uploads/{made.id}/apply", {}


EVERY_CHANGE = [role, password, hub, seller, store_name, upload]


@pytest.mark.parametrize("change", EVERY_CHANGE)
def test_a_reason_is_kept_with_the_row_of_the_log(admin, asha, change: Callable) -> None:
    path, values = change(asha)
    assert admin.post(path, data={**values, "reason": f" {WHY} "}).status_code in (302, 303)
    if change is upload:
        work(int(path.split("/")[2]))
    newest = db.session.scalars(select(ConfigEvent).order_by(ConfigEvent.id.desc())).first()
    assert newest.reason == WHY
    assert WHY in admin.get(f"/configuration-log/{newest.id}").text


@pytest.mark.parametrize("change", EVERY_CHANGE)
def test_a_reason_that_is_too_long_is_said_beside_it_and_nothing_is_changed(admin, asha, change: Callable) -> None:
    path, values = change(asha)
    n_rows = len(db.session.scalars(select(ConfigEvent.id)).all())
    answer = admin.post(path, data={**values, "reason": TOO_LONG})
    assert answer.status_code == 422
    assert f'value="{TOO_LONG}"' in answer.text, "what was typed is kept"
    assert 'href="#reason"' in answer.text
    assert len(db.session.scalars(select(ConfigEvent.id)).all()) == n_rows
    assert "Pune Store" not in db.session.scalars(select(Store.name)).all()
