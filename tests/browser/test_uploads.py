"""Uploading files in a real browser: to the end with a real worker, without scripts, on a phone, in the dark."""

from dataclasses import replace
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from flexdash.extensions import db
from flexdash.models import StockMode, UploadState
from flexdash.services.uploads import deciding
from tests import factories
from tests.support.looking import DESK, area, problems
from tests.support.routes import pages_left_out
from tests.support.uploads import applied, catalog, checked, hand_in, many_listings

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture
def person(workspace):
    return factories.make_user(workspace, "merchant", name="Asha")


@pytest.fixture
def actor(person):
    return factories.make_actor(person)


@pytest.fixture
def store(seller, person):
    return factories.make_store(seller, name="Pune Store")


def choose_file(page: Page, content: bytes, name: str = "autumn.csv") -> None:
    page.get_by_label("CSV file").set_input_files([{"name": name, "mimeType": "text/csv", "buffer": content}])


def test_a_catalog_goes_from_the_file_to_the_store(store, actor, person, window, flexdash, tmp_path) -> None:
    flexdash("worker", "--queues", "upload")
    page = window(person)
    page.goto("/uploads")
    page.get_by_role("link", name="Upload a file").first.click()
    page.get_by_role("button", name="Continue with catalog").click()
    expect(page.get_by_text("Fetching the catalog from Amazon is not offered")).to_be_visible()
    choose_file(page, catalog(*many_listings(3_000), "CUP,bad,Cup"))
    page.get_by_role("button", name="Upload and check").click()
    page.get_by_role("button", name="Apply 3,000 changes").click(timeout=60_000)
    expect(page.get_by_role("link", name="See the catalog of Pune Store")).to_be_visible(timeout=60_000)
    expect(page.locator("[data-live-url]")).to_have_count(0)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download refused rows").click()
    assert '3002,"asin: “bad” is no ASIN.' in download.value.path().read_text(encoding="utf-8-sig")
    page.goto("/uploads")
    row = page.get_by_role("row").filter(has_text="autumn.csv")
    expect(row).to_contain_text("Applied")
    expect(row).to_contain_text("3,000")


def test_without_scripts_nothing_is_missing(store, actor, person, window, flexdash) -> None:
    flexdash("worker", "--queues", "upload")
    page = window(person, java_script_enabled=False, viewport={"width": 360, "height": 740})

    def look_until(text: str) -> None:
        for _ in range(120):
            if page.get_by_text(text).count():
                return
            page.get_by_role("link", name="Show how it stands now").click()
            page.wait_for_timeout(250)
        raise AssertionError(f"waited in vain for {text}")

    page.goto(f"/uploads/new?kind=catalog&store={store.id}")
    page.get_by_role("button", name="Upload and check").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose the CSV file first.")
    choose_file(page, "sku_code;asin;name\nTEE;B0TESTTEE1;Thé\n".encode("windows-1252"))
    page.get_by_role("button", name="Upload and check").click()
    look_until("This file cannot be used")
    expect(page.get_by_label("Encoding", exact=True)).to_have_value("windows-1252")
    page.get_by_role("button", name="Read it again").click()
    look_until("1 row checked")
    expect(page.get_by_text("name: Thé")).to_be_visible()
    page.get_by_role("button", name="Apply 1 change").click()
    look_until("See the catalog of Pune Store")


def test_a_file_that_is_too_large_is_said_to_be_before_it_is_sent(app, store, person, window, monkeypatch) -> None:
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], max_upload_megabytes=1))
    page = window(person)
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.goto(f"/uploads/new?kind=catalog&store={store.id}")
    choose_file(page, b"x" * (1 << 20) + b"y")
    page.get_by_role("button", name="Upload and check").click()
    message = page.get_by_label("CSV file").evaluate("input => input.validationMessage")
    assert message.startswith("The file is larger than 1 MB")
    assert sent == []


def test_even_a_browser_without_scripts_reads_that_a_file_is_too_large(
    app, store, person, window, monkeypatch, tmp_path
) -> None:
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], max_upload_megabytes=1))
    page = window(person, java_script_enabled=False)
    page.goto(f"/uploads/new?kind=catalog&store={store.id}")
    file = tmp_path / "large.csv"
    file.write_bytes(b"x" * (20 << 20))  # more than the sockets on the way hold
    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_role("button", name="Upload and check").click()
    expect(page.get_by_text("The file is larger than 1 MB, the most that is taken at once.")).to_be_visible()


@pytest.fixture
def pages(store, seller, actor, workspace) -> list[str]:
    """The addresses to look at, with something to see behind each."""
    factories.make_hub(workspace, "PUNE")
    factories.make_listing(store, "TEE", price=Decimal(100), name="Tee")
    factories.make_listing(store, "MUG", price=Decimal(100), name="Mug")
    long_name = "A-SKU-AS-LONG-AS-ONE-MAY-BE-" + "X" * 72
    done = applied(
        actor, store, catalog(f"{long_name},B0TESTLNG1,Long", "CUP,bad,Cup", '"open'), name=f"{'y' * 90}.csv"
    )
    unusable = checked(actor, factories.make_store(seller), "sku_code,asin,name\nT,B0TESTTEE1,Thé".encode("cp1252"))
    prices = checked(actor, store, b"sku_code,selling_price,note\nTEE,10,a\nMUG,101,b\nCUP,1,c\n", "prices")
    waiting = checked(
        actor,
        store,
        catalog("TEE,B0TESTTEE2,T-shirt", f"{long_name},B0TESTLNG1,Long", *many_listings(12), *(["X,bad,x"] * 30)),
    )
    stock = b"hub_code,sku_code,quantity\nPUNE,TEE,5\n"
    delivered = applied(actor, seller, stock, "stock", mode=StockMode.ADD)
    again = checked(actor, seller, stock, "stock", mode=StockMode.ADD)
    received = hand_in(actor, factories.make_store(seller), catalog("TEE,B0TESTTEE1,Tee"))
    failed = factories.make_upload(store, UploadState.FAILED, applied_by_name="Asha", n_applied=5, error_sentence="Ah.")
    gone = checked(actor, factories.make_store(seller), catalog("TEE,B0TESTTEE1,Tee"))
    deciding.discard(actor, gone.id)
    running = factories.make_upload(store, UploadState.APPLYING, n_rows=100, n_applied=40)
    ids = (
        done.id,
        unusable.id,
        prices.id,
        waiting.id,
        delivered.id,
        again.id,
        received,
        failed.id,
        gone.id,
        running.id,
    )
    db.session.rollback()
    return [
        "/uploads",
        "/uploads?kind=stock&state=failed",
        "/uploads/new",
        f"/uploads/new?kind=catalog&store={store.id}",
        f"/uploads/new?kind=prices&store={store.id}",
        f"/uploads/new?kind=stock&seller={seller.id}",
        *(f"/uploads/{upload_id}" for upload_id in ids),
        f"/uploads/{waiting.id}/discard",
    ]


def test_every_page_is_accessible_and_fits(app, pages, person, window) -> None:
    assert [rule for rule in pages_left_out(app, pages) if rule.startswith("/uploads")] == []
    page = window(person, viewport=DESK)
    complaints: list[str] = []
    areas: set[str] = set()
    page.on("console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None)
    for path in pages:
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200, path
        complaints += problems(page, path, without_frame=area(path) in areas)
        areas.add(area(path))
    assert complaints == []


def test_a_box_that_has_to_be_ticked_gets_the_focus(pages, person, window) -> None:
    page = window(person)
    page.goto("/uploads?kind=prices")
    page.get_by_role("link", name="autumn.csv").click()
    page.get_by_role("button", name="Apply 2 changes").click()
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_label("These prices are meant")).to_be_focused()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Apply 2 changes").click()
    expect(page.get_by_text("Waiting to be applied")).to_be_visible()
