"""A run followed in a real browser: it moves while the run is at work and rests when the run has ended."""

import pytest
from sqlalchemy import update

from flexdash import clock
from flexdash.database import transaction
from flexdash.models import RunState, SyncRun
from tests.factories import PASSWORD, make_run, make_seller, make_store, make_user, make_workspace

pytestmark = pytest.mark.browser


def change(**values):
    with transaction() as session:
        session.execute(update(SyncRun).values(**values))


def test_the_page_of_a_run_follows_it_to_its_end_by_itself(page, live_server):
    workspace = make_workspace()
    email = make_user(workspace, "support").email
    store = make_store(make_seller(workspace), is_order_sync_on=True)
    run_id = make_run(store, RunState.RUNNING, progress="Fetching what is Confirmed.").id

    page.goto(f"{live_server}/sign-in?next=/sync-runs/{run_id}")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("Fetching what is Confirmed.").wait_for()

    change(progress="All pages are in.", n_created=1204)
    page.get_by_text("All pages are in.").wait_for()
    page.get_by_text("1,204").wait_for()

    change(state=RunState.SUCCEEDED, finished_at=clock.now(), progress="")
    page.locator("#sync-run").get_by_text("Healthy", exact=True).wait_for()
    assert page.locator("[data-live-url]").count() == 0
