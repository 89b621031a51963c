"""Uploads whose worker is killed again and again: every row of the file applied once, the log told once."""

import random

import pytest
from sqlalchemy import func, select

from flexdash.extensions import db
from flexdash.models import ConfigEvent, Listing, StockLevel, StockMode, StockMovement, Upload, UploadKind, UploadState
from flexdash.services.uploads import deciding
from tests import factories
from tests.support.fault_worker import scaled_down
from tests.support.ledgers import stock_problems
from tests.support.pulls import workers
from tests.support.upload_kills import finish, kill_while, n_left
from tests.support.uploads import catalog, counts, fresh, hand_in, many_listings

long = pytest.mark.faults
FEW = 3_000  # rows, which a worker that is scaled down reads, and applies, in as many pieces as others do 100,000
SCALED_DOWN = scaled_down(
    {
        "flexdash.services.uploads.reading.ROWS_PER_BATCH": 250,
        "flexdash.services.uploads.staging.ROWS_AT_ONCE": 250,
        "flexdash.services.uploads.applying._FIRST_PIECE": 250,
        "flexdash.services.uploads.applying._SMALLEST_PIECE": 250,
    },
    pause=0.08,
)


@pytest.fixture
def fleet(environment, n_rows):
    """Real workers of uploads."""
    with workers({**environment, **(SCALED_DOWN if n_rows == FEW else {})}) as made:
        yield made


@pytest.mark.parametrize(("n_kills", "n_rows"), [(2, FEW), pytest.param(40, 60_000, marks=long)])
def test_workers_killed_at_random_moments_apply_every_row_once(
    app, workspace, seller, fleet, figure, scaled, n_kills, n_rows
) -> None:
    chance = random.Random(n_kills)
    n_kills = scaled(n_kills) if n_kills > 2 else n_kills
    actor = factories.make_actor(factories.make_user(workspace))
    rows = [*many_listings(n_rows), "SKU-5,B000000005,Again", "SKU-X,bad,x"]
    n_done = n_files = 0
    while n_done < n_kills:
        store = factories.make_store(seller)
        store_id = store.id
        upload_id = hand_in(actor, store, catalog(*rows))
        n_files += 1
        n_done += kill_while(fleet, upload_id, UploadState.CHECKING, chance, n_rows)
        finish(fleet, upload_id, UploadState.CHECKED)
        deciding.accept(actor, upload_id)
        n_done += kill_while(fleet, upload_id, UploadState.APPLYING, chance, n_rows)
        finish(fleet, upload_id, UploadState.APPLIED)
        assert counts(fresh(upload_id)) == (n_rows, 0, 0, 2)
        listed = select(func.count(), func.min(Listing.version), func.max(Listing.version))
        assert tuple(db.session.execute(listed.where(Listing.store_id == store_id)).one()) == (n_rows, 1, 1)
        assert n_left(upload_id) == (3, 0)
    assert db.session.scalar(select(func.count(ConfigEvent.id))) == 2 * n_files  # uploaded, and applied once
    assert set(db.session.scalars(select(Upload.state))) == {UploadState.APPLIED}
    figure("uploads", f"{n_done} kills, {n_files} files of {n_rows:,} rows: 0 lost, 0 doubled")


@pytest.mark.parametrize(("n_kills", "n_rows"), [(1, FEW), pytest.param(20, 40_000, marks=long)])
def test_a_delivery_whose_workers_are_killed_is_added_once(
    app, workspace, seller, fleet, figure, scaled, n_kills, n_rows
) -> None:
    chance = random.Random(n_kills)
    n_kills = scaled(n_kills) if n_kills > 1 else n_kills
    actor = factories.make_actor(factories.make_user(workspace))
    factories.make_hub(workspace, "PUNE")
    content = "\n".join(["hub_code,sku_code,quantity", *(f"PUNE,SKU-{n},{1 + n % 7}" for n in range(n_rows))])
    n_done = n_files = 0
    while n_done < n_kills:
        n_files += 1
        upload_id = hand_in(actor, seller, content.encode(), UploadKind.STOCK, mode=StockMode.ADD)
        finish(fleet, upload_id, UploadState.CHECKED)
        deciding.accept(actor, upload_id, is_another_delivery=True)
        n_done += kill_while(fleet, upload_id, UploadState.APPLYING, chance, n_rows, n_times=min(2, n_kills))
        finish(fleet, upload_id, UploadState.APPLIED)
        assert fresh(upload_id).n_refused == 0
        moved = select(func.count(), func.count(StockMovement.stock_level_id.distinct()))
        assert tuple(db.session.execute(moved.where(StockMovement.upload_id == upload_id)).one()) == (n_rows, n_rows)
    wanted = sum(1 + n % 7 for n in range(n_rows)) * n_files
    assert db.session.scalar(select(func.sum(StockLevel.on_hand))) == wanted
    assert stock_problems() == []
    figure("uploads", f"{n_done} kills, {n_files} deliveries of {n_rows:,} rows: 0 lost, 0 added twice")
