"""A catalog of a million rows: checked and applied by a worker, beside a raw upsert of it, and through the page."""

import csv
import json
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from flask import Flask
from playwright.sync_api import sync_playwright
from sqlalchemy import func, select

from bench import ground
from bench.results import Figure
from config import PROJECT_DIR
from flexdash.extensions import db
from flexdash.models import Listing, Store, Upload, UploadKind, UploadState
from flexdash.services.uploads import deciding, receiving
from tests import factories
from tests.support.browsers import launch_arguments

N_ROWS = 1_000_000
N_RUNS = 3
WANTED_PER_SECOND = 40_000
WANTED_MEGABYTES = 200
HEADER = ["sku_code", "asin", "name", "barcode", "mrp", "weight_g", "length_cm", "width_cm", "height_cm"]
EMAIL = "bench@company.example"


def figures() -> Iterator[Figure]:
    """Measure and yield the lines of the table."""
    with tempfile.TemporaryDirectory(prefix="flexdash-bench-") as folder:
        file, changed = Path(folder) / "million.csv", Path(folder) / "changed.csv"
        _write(file, changed)
        for database in ground.databases():
            with ground.app_on(database) as app:
                peer = _rate_of_peer(database, file)
                yield _worker(app, database, file, peer)
                yield _compared(app, database, changed)
            with ground.app_on(database) as app:
                yield _page(app, database, file)


def _write(file: Path, changed: Path) -> None:
    """Write the catalog, with a comma in every tenth name, and again with every tenth name another."""
    chance = random.Random(1)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    words = ("Steel", "Kettle", "Lamp", "Oak", "Black", "Cotton", "Shirt", "Bottle", "Mat", "Yoga", "Desk", "Mug")
    with file.open("w", newline="") as first, changed.open("w", newline="") as second:
        writers = csv.writer(first), csv.writer(second)
        for writer in writers:
            writer.writerow(HEADER)
        for number in range(N_ROWS):
            name = " ".join(chance.choices(words, k=5)) + (", 1.7 l" if number % 10 == 0 else "")
            row = [
                f"SKU-{number:07d}",
                "B0" + "".join(chance.choices(letters, k=8)),
                name,
                f"890{number:010d}",
                f"{chance.randint(100, 9_999)}.{chance.choice(('00', '50', '99'))}",
                chance.randint(10, 5_000),
                chance.randint(1, 90),
                f"{chance.randint(1, 90)}.5",
                chance.randint(1, 30),
            ]
            writers[0].writerow(row)
            if number % 10 == 5:
                row[2] = f"{name} new"
            writers[1].writerow(row)


def _worker(app: Flask, database: str, file: Path, peer: float) -> Figure:
    rates, megabytes = [], 0.0
    for _ in range(N_RUNS):
        seconds, size = _check_and_apply(app, _store(), file, (N_ROWS, 0, 0, 0))
        rates.append(N_ROWS / seconds)
        megabytes = max(megabytes, size)
    rate = statistics.median(rates)
    return Figure(
        f"catalog CSV, {N_ROWS:,} new rows, checked, compared and applied",
        database,
        f"{rate:,.0f} rows/s, {megabytes:.0f} MB",
        f"≥ {WANTED_PER_SECOND:,} rows/s, ≤ {WANTED_MEGABYTES} MB",
        f"raw parse + upsert of the same file: {peer:,.0f} rows/s",
        f"{rate / peer:.2f} ×",
    )


def _compared(app: Flask, database: str, changed: Path) -> Figure:
    """Hand the file in once more with every tenth row changed, for the store that has it all already."""
    newest = db.session.scalars(select(Store).order_by(Store.id.desc()).limit(1)).one()
    n_changed = N_ROWS // 10
    seconds, megabytes = _check_and_apply(app, newest, changed, (0, n_changed, N_ROWS - n_changed, 0))
    return Figure(
        f"the same into a full catalog, {n_changed:,} rows changed",
        database,
        f"{N_ROWS / seconds:,.0f} rows/s, {megabytes:.0f} MB",
        f"≥ {WANTED_PER_SECOND:,} rows/s, ≤ {WANTED_MEGABYTES} MB",
    )


def _check_and_apply(app: Flask, store: Store, file: Path, wanted: tuple[int, ...]) -> tuple[float, float]:
    """Return the worker's seconds for both steps and its largest size in megabytes."""
    actor, store_id = factories.make_actor(factories.make_user(store.seller.workspace)), store.id
    with file.open("rb") as content:
        upload_id = receiving.receive(actor, UploadKind.CATALOG, file.name, content, store_id=store_id)
    db.session.remove()
    checked = _do(app, upload_id)
    _expect(upload_id, UploadState.CHECKED, wanted)
    deciding.accept(actor, upload_id)
    db.session.remove()
    applied = _do(app, upload_id)
    _expect(upload_id, UploadState.APPLIED, wanted)
    _do(app, upload_id)  # the cleaning, which nobody waits for
    n_listings = db.session.scalar(select(func.count(Listing.id)).where(Listing.store_id == store_id))
    assert n_listings == N_ROWS, n_listings
    db.session.remove()
    return checked["seconds"] + applied["seconds"], max(checked["megabytes"], applied["megabytes"])


def _do(app: Flask, upload_id: int) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.csv_worker", str(upload_id)]
    output = subprocess.run(
        command, cwd=PROJECT_DIR, env=ground.environment(), check=True, capture_output=True, text=True
    )
    return json.loads(output.stdout)


def _expect(upload_id: int, state: UploadState, counts: tuple[int, ...]) -> None:
    db.session.rollback()
    upload = db.session.get_one(Upload, upload_id, populate_existing=True)
    found = (upload.n_new, upload.n_changed, upload.n_unchanged, upload.n_refused)
    assert (upload.state, found) == (state, counts), (upload.state, found, upload.error_sentence)


def _store() -> Store:
    return factories.make_store(factories.make_seller(factories.make_workspace()), name="Pune Store")


# The peer -------------------------------------------------------------------------------------------------------------

_PEER_TABLE = """CREATE TABLE peer (store_id INTEGER NOT NULL, sku_code VARCHAR(100) NOT NULL, asin VARCHAR(10),
    name VARCHAR(250), barcode VARCHAR(50), mrp {money}, weight_g INTEGER, length_cm {money}, width_cm {money},
    height_cm {money}, UNIQUE (store_id, sku_code))"""
_UPSERT = "ON CONFLICT (store_id, sku_code) DO UPDATE SET asin = excluded.asin, name = excluded.name"


def _rate_of_peer(database: str, file: Path) -> float:
    """Parse the file and upsert its rows into a bare table: no checks, no comparison, one transaction."""
    columns = ", ".join(HEADER)
    with closing(db.engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        if database == "SQLite":
            cursor.execute(_PEER_TABLE.format(money="TEXT"))
            began = time.perf_counter()
            cursor.execute("BEGIN IMMEDIATE")
            with file.open(newline="") as lines:
                rows = csv.reader(lines)
                next(rows)
                marks = ", ".join("?" * len(HEADER))
                cursor.executemany(
                    f"INSERT INTO peer (store_id, {columns}) VALUES (1, {marks}) {_UPSERT}",
                    rows,
                )
            connection.commit()
        else:
            cursor.execute(_PEER_TABLE.format(money="NUMERIC"))
            connection.commit()
            began = time.perf_counter()
            cursor.execute("CREATE TEMPORARY TABLE peer_stage (LIKE peer) ON COMMIT DROP")
            cursor.execute("ALTER TABLE peer_stage ALTER store_id SET DEFAULT 1")
            with file.open("rb") as content, cursor.copy(f"COPY peer_stage ({columns}) FROM STDIN CSV HEADER") as copy:
                while block := content.read(1 << 20):
                    copy.write(block)
            cursor.execute(f"INSERT INTO peer SELECT * FROM peer_stage {_UPSERT}")
            connection.commit()
        seconds = time.perf_counter() - began
        cursor.execute("SELECT count(*) FROM peer")
        assert cursor.fetchone() == (N_ROWS,)
        cursor.execute("DROP TABLE peer")
        connection.commit()
    return N_ROWS / seconds


# The page -------------------------------------------------------------------------------------------------------------


def _page(app: Flask, database: str, file: Path) -> Figure:
    """Hand the file in with a real browser and follow the page to its result."""
    workspace = factories.make_workspace()
    factories.make_user(workspace, email=EMAIL)
    store = factories.make_store(factories.make_seller(workspace), name="Pune Store")
    store_id = store.id
    db.session.remove()
    with _servers() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch_arguments())
        page = browser.new_page(base_url=address)
        page.goto(f"/sign-in?next=/uploads/new?kind=catalog%26store={store_id}")
        page.get_by_label("E-mail").fill(EMAIL)
        page.get_by_label("Password", exact=True).fill(factories.PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.goto(f"/uploads/new?kind=catalog&store={store_id}")
        page.get_by_label("CSV file").set_input_files(file)
        began = time.perf_counter()
        page.get_by_role("button", name="Upload and check").click(no_wait_after=True)
        page.get_by_role("button", name=f"Apply {N_ROWS:,} changes").wait_for(timeout=600_000)
        preview = time.perf_counter() - began
        page.get_by_role("button", name=f"Apply {N_ROWS:,} changes").click()
        page.get_by_role("link", name="See the catalog of Pune Store").wait_for(timeout=600_000)
        seconds = time.perf_counter() - began
        assert page.get_by_text(f"{N_ROWS:,}").first.is_visible()
        browser.close()
    n_listings = db.session.scalar(select(func.count(Listing.id)).where(Listing.store_id == store_id))
    assert n_listings == N_ROWS, n_listings
    size = file.stat().st_size / 1024 / 1024
    return Figure(
        f"the same through the page in a browser ({size:.0f} MB), until the result page",
        database,
        f"{seconds:.0f} s, the preview after {preview:.0f} s",
    )


@contextmanager
def _servers() -> Iterator[str]:
    """Run the web server as in production, and a worker for uploads; gives the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    environment = ground.environment(PORT=str(port), PUBLIC_URL=address)
    commands = (
        ["-m", "gunicorn", "--config", "gunicorn.conf.py", "wsgi:app"],
        ["-m", "flexdash", "worker", "--queues", "upload"],
    )
    processes = [_start(command, environment) for command in commands]
    try:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{address}/healthz", timeout=1):
                    break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(30)


def _start(command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=PROJECT_DIR,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
