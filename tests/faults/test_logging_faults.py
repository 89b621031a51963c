"""A process that dies between a change and its row in the Configuration Log: both are there, or neither."""

import os
import random
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import Engine, event, select

from flexdash.extensions import db
from flexdash.models import ConfigEvent, Hub, HubMapping, Role, Store, StoreStatus
from flexdash.services import config_log_verify, hub_mapping, hubs, store_settings, stores
from flexdash.services.store_settings import Toggle
from tests.factories import make_actor, make_hub, make_mapping, make_seller, make_store, make_user, make_workspace

N_STATEMENTS = 21  # more than any of the changes needs: a death after the commit belongs to it


@pytest.mark.parametrize("n_deaths", [8, pytest.param(500, marks=pytest.mark.faults)])
def test_no_death_leaves_a_change_without_its_row_or_a_row_without_its_change(app, figure, scaled, n_deaths) -> None:
    """Each child process makes one change and ends itself before or after one of its statements or its commit."""
    chance = random.Random(n_deaths)
    n_deaths = scaled(n_deaths) if n_deaths > 8 else n_deaths
    workspace = make_workspace()
    actor = make_actor(make_user(workspace, Role.ADMIN))
    store = make_store(make_seller(workspace))
    mapped, spare = make_hub(workspace), make_hub(workspace)
    make_mapping(store, mapped, "EXSB")
    workspace_id, ids = workspace.id, (store.id, mapped.id, spare.id)
    n_kept = n_undone = 0
    before = _present()
    for n in range(n_deaths):
        change = CHANGES[n % len(CHANGES)]
        position = chance.randint(1, N_STATEMENTS)
        db.session.remove()
        _in_a_dying_child(app, position, lambda change=change: change(actor, *ids))
        after = _present()
        n_rows = len(after["rows"]) - len(before["rows"])
        has_changed = after["state"] != before["state"]
        assert n_rows == has_changed, f"{change.__name__} at statement {position}: {before['state']} {after['state']}"
        n_kept, n_undone = n_kept + has_changed, n_undone + (not has_changed)
        before = after
        verification = config_log_verify.verify(workspace_id)
        assert verification.is_intact
    assert n_kept
    assert n_undone
    figure("unlogged", f"{n_deaths} deaths: 0 unlogged ({n_kept} changes kept with their row, {n_undone} undone)")


def _in_a_dying_child(app: Flask, position: int, change: Callable[[], None]) -> None:
    """Make `change` in a forked child that ends at its `position`-th step; a step is a statement or the commit."""
    pid = os.fork()
    if pid == 0:
        try:
            db.engine.dispose(close=False)  # the connections are the parent's
            _die_at(db.engine, position)
            change()
        finally:
            os._exit(9)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 9


def _die_at(engine: Engine, position: int) -> None:
    n_steps = 0

    def step(*_arguments: object, **_named: object) -> None:
        nonlocal n_steps
        n_steps += 1
        if n_steps == position:
            os._exit(9)

    event.listen(engine, "after_cursor_execute", step)
    event.listen(engine, "commit", step)


def _present() -> dict[str, list]:
    """Return what the changes change, and the log's rows."""
    db.session.rollback()
    found = {
        "state": [
            *map(tuple, db.session.execute(select(Store.status, Store.settings_version, *_toggles()))),
            *map(tuple, db.session.execute(select(HubMapping.hub_id, HubMapping.seller_flex_hub_id))),
            *map(tuple, db.session.execute(select(Hub.id, Hub.is_active, Hub.name).order_by(Hub.id))),
        ],
        "rows": db.session.scalars(select(ConfigEvent.sequence)).all(),
    }
    db.session.remove()
    return found


def _toggles() -> list:
    return [getattr(Store, toggle.value) for toggle in Toggle]


def _flip_a_toggle(actor, store_id: int, _mapped_id: int, _spare_id: int) -> None:
    store = db.session.get(Store, store_id)
    toggle = list(Toggle)[store.settings_version % len(Toggle)]
    turn_on, version = not getattr(store, toggle.value), store.settings_version
    store_settings.set_toggle(actor, store_id, toggle, turn_on=turn_on, version=version, zeros_seen=0)


def _change_a_mapping(actor, store_id: int, mapped_id: int, _spare_id: int) -> None:
    mapping = hub_mapping.get(actor, store_id, mapped_id)
    other = "EXSC" if mapping.seller_flex_hub_id == "EXSB" else "EXSB"
    version = mapping.version
    hub_mapping.change(actor, store_id, mapped_id, other, is_active=True, version=version)


def _add_or_remove_a_mapping(actor, store_id: int, _mapped_id: int, spare_id: int) -> None:
    mapping = db.session.scalars(select(HubMapping).where(HubMapping.hub_id == spare_id)).one_or_none()
    if mapping is None:
        hub_mapping.add(actor, store_id, spare_id, "PNQ9")
    else:
        hub_mapping.remove(actor, store_id, spare_id, version=mapping.version)


def _rename_a_hub(actor, _store_id: int, _mapped_id: int, spare_id: int) -> None:
    hub = db.session.get(Hub, spare_id)
    name = "North" if hub.name != "North" else "South"
    values = {"code": hub.code, "city": hub.city, "country_code": hub.country_code, "time_zone": hub.time_zone}
    hubs.edit(actor, spare_id, name=name, **values)


def _lose_the_authorization(_actor, store_id: int, _mapped_id: int, _spare_id: int) -> None:
    stores.needs_reauthorization(store_id, "invalid_grant")


CHANGES = (_flip_a_toggle, _change_a_mapping, _add_or_remove_a_mapping, _rename_a_hub, _flip_a_toggle)


def test_a_worker_that_dies_as_amazon_refuses_the_token_leaves_both_or_neither(app) -> None:
    """The one change a worker logs: at every one of its steps."""
    workspace = make_workspace()
    store = make_store(make_seller(workspace))
    store_id, seen = store.id, set()
    for position in range(1, N_STATEMENTS):
        db.session.remove()
        _in_a_dying_child(app, position, lambda: _lose_the_authorization(None, store_id, 0, 0))
        present = _present()
        status = present["state"][0][0]
        assert (status is StoreStatus.NEEDS_REAUTHORIZATION) == bool(present["rows"])
        seen.add(status)
    assert seen == {StoreStatus.CONNECTED, StoreStatus.NEEDS_REAUTHORIZATION}
