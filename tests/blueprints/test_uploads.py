"""The pages of uploads: handing a file in, deciding about it, and what is said of it afterwards."""

import csv
import io
import re
from dataclasses import replace
from decimal import Decimal
from html import unescape

import pytest
from sqlalchemy import event, select

from flexdash.extensions import db
from flexdash.jobs import queues, schedule
from flexdash.models import Listing, Role, StockMode, Upload, UploadKind, UploadState
from flexdash.services.uploads import deciding, history
from tests import factories
from tests.support.uploads import applied, catalog, checked, fresh, hand_in, many_listings, work


@pytest.fixture
def store(seller):
    return factories.make_store(seller, name="Pune Store")


@pytest.fixture
def person(workspace):
    return factories.make_user(workspace, Role.MERCHANT, name="Asha")


@pytest.fixture
def actor(person):
    return factories.make_actor(person)


@pytest.fixture
def merchant(person, signed_in):
    return signed_in(person)


@pytest.fixture
def support(workspace, signed_in):
    return signed_in(factories.make_user(workspace, Role.SUPPORT))


def send(client, address: str, content: bytes | None, name: str = "autumn.csv", **fields):
    data = dict(fields)
    if content is not None:
        data["file"] = (io.BytesIO(content), name)
    return client.post(address, data=data, content_type="multipart/form-data")


def newest() -> Upload:
    db.session.rollback()
    return db.session.scalars(select(Upload).order_by(Upload.id.desc())).first()


def text_of(answer) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.text)))


# Handing a file in ----------------------------------------------------------------------------------------------------


def test_each_page_names_a_stores_file_by_the_store_and_stock_by_the_seller(merchant, actor, store) -> None:
    stock = b"hub_code,sku_code,quantity\nPUNE,TEE,5\n"
    for place, kind, content, name in (
        (store, "catalog", catalog("TEE,B0TESTTEE1,Tee"), "Pune Store"),
        (store.seller, "stock", stock, "Sunrise"),
    ):
        which = f"{'store' if place is store else 'seller'}={place.id}"
        upload_id = hand_in(actor, place, content, kind)
        of_or_for = "of" if kind == "stock" else "for"
        assert f"{of_or_for} {name}" in text_of(merchant.get(f"/uploads/new?kind={kind}&{which}"))
        assert f"{kind.capitalize()} {of_or_for} {name}" in text_of(merchant.get(f"/uploads/{upload_id}"))
        assert f"applied to {name}." in text_of(merchant.get(f"/uploads/{upload_id}/discard"))
        assert name in text_of(merchant.get(f"/uploads?kind={kind}"))


def test_a_file_is_kept_and_put_into_the_queue(merchant, store) -> None:
    answer = send(merchant, f"/uploads/new?kind=catalog&store={store.id}", catalog("TEE,B0TESTTEE1,Tee"))
    upload = newest()
    assert answer.status_code == 303
    assert answer.location == f"/uploads/{upload.id}"
    assert (upload.state, upload.kind, upload.file_name) == (UploadState.RECEIVED, UploadKind.CATALOG, "autumn.csv")
    assert (upload.uploaded_by_name, upload.uploaded_from, upload.stock_mode) == ("Asha", "127.0.0.1", None)
    assert len(queues.queue(schedule.UPLOAD_QUEUE).job_ids) == 1
    page = merchant.get(answer.location).text
    assert "Waiting to be checked" in page
    assert 'data-live-url="/uploads/' in page
    work(upload.id)
    page = text_of(merchant.get(f"/uploads/{upload.id}"))
    assert "Waiting for a decision" in page
    assert "Apply 1 change" in page


def test_a_file_that_waits_is_named_before_and_after_a_new_one_takes_its_place(merchant, workspace, store) -> None:
    address = f"/uploads/new?kind=catalog&store={store.id}"
    assert "will be put aside" not in merchant.get(address).text
    ravi = factories.make_actor(factories.make_user(workspace, Role.MERCHANT, name="Ravi"))
    waiting = checked(ravi, store, catalog("TEE,B0TESTTEE1,Tee"), name="ravi.csv")
    page = merchant.get(address)
    assert f'href="/uploads/{waiting.id}"' in page.text
    assert "A file that waits will be put aside ravi.csv , uploaded" in text_of(page)
    assert "by Ravi, is not applied yet." in text_of(page)
    page = merchant.get(send(merchant, address, catalog("MUG,B0TESTMUG1,Mug")).location)
    assert f'href="/uploads/{waiting.id}"' in page.text
    assert "It took the place of ravi.csv , which Ravi uploaded on" in text_of(page)
    assert "took the place of" not in merchant.get(f"/uploads/{waiting.id}").text


def test_a_stock_file_says_what_its_quantities_mean(merchant, seller) -> None:
    address = f"/uploads/new?kind=stock&seller={seller.id}"
    page = text_of(merchant.get(address))
    assert "Set what is on hand" in page
    assert "hub_code" in page
    send(merchant, address, b"hub_code,sku_code,quantity\nX,Y,1\n", stock_mode="add")
    assert newest().stock_mode is StockMode.ADD
    assert "Stock of Sunrise" in text_of(merchant.get(f"/uploads/{newest().id}"))
    answer = send(merchant, address, b"hub_code,sku_code,quantity\nX,Y,1\n", stock_mode="multiply")
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "Choose the CSV file first."),
        (b"", "The file is empty."),
        (b"PK\x03\x04" + b"\0" * 50, "This is a spreadsheet or zip file and no CSV file"),
        (b"a\0b", "This is no text but some program's own file"),
    ],
)
def test_what_is_no_csv_is_refused_beside_the_field(merchant, seller, content, words) -> None:
    answer = send(merchant, f"/uploads/new?kind=stock&seller={seller.id}", content, "stock.csv", stock_mode="add")
    assert answer.status_code == 422
    assert unescape(answer.text).count(words) == 2
    assert "There is a problem" in answer.text
    assert re.search(r'value="add"[^>]*checked|checked[^>]*value="add"', answer.text)
    assert newest() is None


def test_the_page_says_what_belongs_into_a_file(merchant, store) -> None:
    page = text_of(merchant.get(f"/uploads/new?kind=catalog&store={store.id}"))
    assert "Fetching the catalog from Amazon is not offered" in page
    assert "Why every item needs its ASIN" in page
    for column in ("sku_code", "asin", "name", "barcode", "mrp", "weight_g", "length_cm", "width_cm", "height_cm"):
        assert column in page
    assert "selling_price" in text_of(merchant.get(f"/uploads/new?kind=prices&store={store.id}"))


def test_without_a_place_the_page_asks_for_one(merchant, store, seller) -> None:
    factories.make_store(seller, "draft", name="Half-way Store")
    for address in (
        "/uploads/new",
        "/uploads/new?kind=catalog",
        "/uploads/new?kind=x&store=y",
        "/uploads/new?kind=stock",
    ):
        answer = merchant.get(address)
        assert answer.status_code == 200
        assert "Half-way Store" not in answer.text
    page = merchant.get("/uploads/new").text
    assert "Pune Store" in page
    assert "Sunrise" in page


def test_a_draft_store_takes_no_file_yet(merchant, seller) -> None:
    draft = factories.make_store(seller, "draft", name="Half-way Store")
    answer = merchant.get(f"/uploads/new?kind=catalog&store={draft.id}")
    assert answer.status_code == 409
    assert "not connected yet" in answer.text


def test_names_of_files_are_shown_and_never_run(merchant, store) -> None:
    name = 'C:\\fake\\..\\<svg onload=alert(1)>".csv'
    send(merchant, f"/uploads/new?kind=catalog&store={store.id}", catalog("TEE,B0TESTTEE1,Tee"), name)
    upload = newest()
    assert "\\" not in upload.file_name
    page = merchant.get(f"/uploads/{upload.id}").text
    assert "<svg onload" not in page
    assert "&lt;svg onload" in page


def test_only_this_route_takes_more_than_a_form(app, merchant, support, client, store, monkeypatch) -> None:
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], max_upload_megabytes=3))
    address = f"/uploads/new?kind=catalog&store={store.id}"
    three_megabytes = catalog(f"TEE,B0TESTTEE1,Tee {'x' * 3_000_000}")
    answer = send(merchant, address, three_megabytes[: 3 << 20])
    assert answer.status_code == 303
    assert newest().n_bytes > 2_900_000
    too_large = send(merchant, address, b"x," * (5 << 19))
    assert too_large.status_code == 413
    assert "The file is larger than 3 MB, the most that is taken at once." in too_large.text
    beside = send(merchant, address, b"x," * (7 << 18))  # the file is too large, the whole body is not
    assert beside.status_code == 422
    assert "The file is larger than 3 MB" in beside.text
    assert send(support, address, three_megabytes).status_code == 403
    assert send(client, address, three_megabytes).status_code == 302
    assert send(merchant, "/account/password", three_megabytes).status_code == 413
    assert len(db.session.scalars(select(Upload.id)).all()) == 1


# Looking and deciding -------------------------------------------------------------------------------------------------


def test_the_preview_shows_the_first_rows_of_each_outcome(merchant, store, actor) -> None:
    factories.make_listing(store, "TEE", "B0TESTTEE1", name="Tee", mrp=Decimal("500"), weight_g=100)
    factories.make_listing(store, "MUG", "B0TESTMUG1", name="Mug")
    content = (
        b"sku_code,asin,name,mrp,weight_g,colour,<svg onload=alert(1)>\n"
        b"TEE,B0TESTTEE1,T-shirt,500.00,,red,\n"
        b"MUG,B0TESTMUG1,Mug,,,blue,\n"
        b"=LAMP,B0TESTLMP1,<svg onload=alert(1)>,99.5,1500,green,\n"
        b"CUP,bad,Cup,,,,\n"
    )
    upload = checked(actor, store, content)
    answer = merchant.get(f"/uploads/{upload.id}")
    page = text_of(answer)
    assert "name: Tee → becomes T-shirt" in page
    assert "weight in g: 100 → becomes nothing" in page
    assert "name: <svg onload=alert(1)>" in page
    assert "MRP: 99.50" in page
    assert "asin: “bad” is no ASIN" in page
    assert "Columns that FlexDash does not know and ignores: colour , <svg onload=alert(1)>" in page
    assert "Apply 2 changes" in page
    assert "The 1 refused row is left out." in page
    assert "<svg onload" not in answer.text


def test_applying_leads_to_the_result(merchant, store, actor) -> None:
    upload = checked(actor, store, catalog(*many_listings(3), "CUP,bad,Cup"))
    answer = merchant.post(f"/uploads/{upload.id}/apply")
    assert (answer.status_code, answer.location) == (303, f"/uploads/{upload.id}")
    again = merchant.post(f"/uploads/{upload.id}/apply")
    assert again.status_code == 303
    assert len(queues.queue(schedule.UPLOAD_QUEUE).job_ids) == 1
    assert "Waiting to be applied" in merchant.get(answer.location).text
    work(upload.id)
    page = text_of(merchant.get(answer.location))
    assert "Applied" in page
    assert "by Asha" in page
    assert "See the catalog of Pune Store" in page
    assert "Download refused rows" in page
    assert f"/stores/{store.id}/catalog" in merchant.get(answer.location).text
    assert len(db.session.scalars(select(Listing.id)).all()) == 3


def test_big_price_changes_are_listed_and_confirmed(merchant, store, actor) -> None:
    factories.make_listing(store, "TEE", price=Decimal("100.00"))
    factories.make_listing(store, "MUG", price=Decimal("100.00"))
    upload = checked(actor, store, b"sku_code,selling_price\nTEE,10\nMUG,101\n", "prices")
    page = text_of(merchant.get(f"/uploads/{upload.id}"))
    assert "1 price would change by more than 30 %" in page
    assert "TEE : selling price: 100.00 → becomes 10.00" in page
    answer = merchant.post(f"/uploads/{upload.id}/apply")
    assert answer.status_code == 422
    assert "There is a problem" in answer.text
    assert "tick the box if they are meant" in answer.text
    assert fresh(upload.id).state is UploadState.CHECKED
    assert merchant.post(f"/uploads/{upload.id}/apply", data={"is_big_confirmed": "y"}).status_code == 303
    assert work(upload.id).state is UploadState.APPLIED


def test_the_same_delivery_twice_is_asked_about(merchant, seller, actor, workspace) -> None:
    factories.make_hub(workspace, "PUNE")
    content = b"hub_code,sku_code,quantity\nPUNE,TEE,5\n"
    applied(actor, seller, content, "stock", mode=StockMode.ADD)
    again = checked(actor, seller, content, "stock", mode=StockMode.ADD, name="again.csv")
    page = text_of(merchant.get(f"/uploads/{again.id}"))
    assert "This very file was applied before" in page
    assert "on hand: 5 → becomes 10" in page
    answer = merchant.post(f"/uploads/{again.id}/apply")
    assert answer.status_code == 422
    assert "This very file was applied before. Tick the box" in answer.text
    assert merchant.post(f"/uploads/{again.id}/apply", data={"is_another_delivery": "y"}).status_code == 303


def test_a_delivery_that_was_added_in_part_is_asked_about(merchant, seller, actor, workspace) -> None:
    factories.make_hub(workspace, "PUNE")
    content = b"hub_code,sku_code,quantity\nPUNE,TEE,5\nPUNE,MUG,5\n"
    first = applied(actor, seller, content, "stock", mode=StockMode.ADD)
    first.state, first.n_applied = UploadState.FAILED, 1
    db.session.commit()
    again = checked(actor, seller, content, "stock", mode=StockMode.ADD, name="again.csv")
    page = text_of(merchant.get(f"/uploads/{again.id}"))
    assert "This very file was applied before, in part" in page
    assert "given up with 1 row applied, counted from the top" in page
    answer = merchant.post(f"/uploads/{again.id}/apply")
    assert answer.status_code == 422
    assert "The first row of this very file came in before" in answer.text


def test_the_same_catalog_twice_says_that_nothing_is_left_to_do(merchant, store, actor) -> None:
    content = catalog("TEE,B0TESTTEE1,Tee")
    applied(actor, store, content)
    again = checked(actor, store, content)
    answer = merchant.get(f"/uploads/{again.id}")
    page = text_of(answer)
    assert "This very file was applied before" in page
    assert "there is nothing to do" in page
    assert f"/uploads/{again.id}/apply" not in answer.text
    assert merchant.post(f"/uploads/{again.id}/apply").status_code == 303
    assert "nothing to apply" in merchant.get(f"/uploads/{again.id}").text


def test_a_file_is_read_again_with_what_the_person_picks(merchant, store, actor) -> None:
    content = "sku_code;asin;name\nTEE;B0TESTTEE1;Thé\n".encode("windows-1252")
    upload = checked(actor, store, content)
    page = text_of(merchant.get(f"/uploads/{upload.id}"))
    assert "This file cannot be used" in page
    assert "About row 2 the file is not UTF-8" in page
    assert "Windows-1252 (Western European) TEE;B0TESTTEE1;Thé" in page
    answer = merchant.post(f"/uploads/{upload.id}/read-again", data={"encoding": "windows-1252", "delimiter": ";"})
    assert answer.status_code == 303
    assert work(upload.id).state is UploadState.CHECKED
    page = text_of(merchant.get(f"/uploads/{upload.id}"))
    assert "name: Thé" in page
    for data in ({"encoding": "rot13"}, {}, {"encoding": "utf-8", "delimiter": "|"}):
        answer = merchant.post(f"/uploads/{upload.id}/read-again", data=data)
        assert answer.status_code == 422
        assert "There is a problem" in answer.text


def test_putting_aside_asks_first(merchant, store, actor) -> None:
    upload = checked(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    page = merchant.get(f"/uploads/{upload.id}/discard")
    assert "Put autumn.csv aside?" in page.text
    assert fresh(upload.id).state is UploadState.CHECKED
    merchant.post(f"/uploads/{upload.id}/discard")
    assert fresh(upload.id).state is UploadState.DISCARDED
    page = text_of(merchant.get(f"/uploads/{upload.id}"))
    assert "This file was put aside" in page
    assert "Asha put it aside." in page
    late = merchant.post(f"/uploads/{upload.id}/apply")
    assert late.status_code == 303
    assert "not ready to be applied any more" in merchant.get(late.location).text


def test_a_failed_file_can_be_tried_again(merchant, store, actor) -> None:
    upload = checked(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    upload.state, upload.error_sentence = UploadState.FAILED, "The database was busy for too long."
    db.session.commit()
    page = text_of(merchant.get(f"/uploads/{upload.id}"))
    assert "The database was busy for too long." in page
    assert "Try again" in page
    merchant.post(f"/uploads/{upload.id}/try-again")
    assert work(upload.id).state is UploadState.CHECKED
    merchant.post(f"/uploads/{upload.id}/try-again")
    assert "cannot be taken up again" in merchant.get(f"/uploads/{upload.id}").text


@pytest.mark.parametrize("state", UploadState)
@pytest.mark.parametrize("kind", UploadKind)
def test_every_state_of_every_kind_has_its_page(merchant, support, store, seller, state, kind) -> None:
    place = seller if kind is UploadKind.STOCK else store
    upload = factories.make_upload(
        place, state, kind=kind, error_sentence="Something happened.", n_rows=5, n_new=2, n_refused=1, n_applied=3
    )
    for client in (merchant, support):
        assert client.get(f"/uploads/{upload.id}").status_code == 200
        assert client.get(f"/uploads/{upload.id}/live").status_code == 200
        assert client.get("/uploads").status_code == 200
        assert client.get(f"/uploads/{upload.id}/refused.csv").status_code == 200


def test_support_sees_and_does_not_decide(support, store, actor) -> None:
    upload = checked(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    page = support.get(f"/uploads/{upload.id}").text
    assert "merchants and admins decide about it" in page
    assert f"/uploads/{upload.id}/apply" not in page
    assert "/discard" not in page
    for address in ("apply", "discard", "read-again", "try-again"):
        assert support.post(f"/uploads/{upload.id}/{address}").status_code == 403
    assert support.get("/uploads/new").status_code == 403
    assert "Upload a file" not in support.get("/uploads").text


def test_the_progress_is_drawn_without_a_script(merchant, store) -> None:
    upload = factories.make_upload(store, "checking", n_bytes=1000, n_bytes_read=410, n_rows=12_345)
    page = merchant.get(f"/uploads/{upload.id}").text
    assert 'max="100" value="41"' in page
    assert "12,345 rows read so far" in page
    assert "Show how it stands now" in page
    upload = factories.make_upload(store, "applying", n_rows=200, n_applied=50)
    page = merchant.get(f"/uploads/{upload.id}/live").text
    assert 'max="100" value="25"' in page
    assert "50 of 200 rows done" in page


def test_refused_rows_have_pages(merchant, store, actor) -> None:
    upload = checked(actor, store, catalog(*(f"S{n},bad{n},x" for n in range(30))))
    page = merchant.get(f"/uploads/{upload.id}").text
    assert "S24 · bad24" in page
    assert "S25 · bad25" not in page
    address = re.search(r'rel="next" href="([^"]+)"', page)[1]
    page = merchant.get(f"/uploads/{upload.id}{unescape(address)}").text
    assert "S25 · bad25" in page
    assert "every row is refused" in page


# Files to take along --------------------------------------------------------------------------------------------------


def rows_of(answer) -> list[list[str]]:
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    return list(csv.reader(io.StringIO(answer.get_data().decode("utf-8-sig"))))


def test_refused_rows_come_with_number_reason_and_cells(merchant, store, actor) -> None:
    content = (
        b"Name,SKU Code,ASIN,colour\n"
        b"=1+1,A,bad,red\n"
        b"Tee,B,B0TESTTEE1,blue\n"
        b"Tee again,B,B0TESTTEE1,blue\n"
        b"short\n"
        b'"open,C,B0TESTTEE1,\n'
    )
    upload = applied(actor, store, content)
    rows = rows_of(merchant.get(f"/uploads/{upload.id}/refused.csv"))
    assert rows[0] == ["row_number", "reason", "flexdash_export", "Name", "SKU Code", "ASIN", "colour"]
    assert [row[0] for row in rows[1:]] == ["2", "4", "5", "6"]
    assert rows[1][2:] == ["", "'=1+1", "A", "bad", "red"]
    assert rows[2][1:] == ["The SKU B is already in row 3.", "", "Tee again", "B", "B0TESTTEE1", ""]
    assert rows[3][3:] == ["short"]
    assert rows[4][3:] == ['"open,C,B0TESTTEE1,']


def test_a_mended_file_of_refusals_can_be_handed_in_as_it_is(merchant, store, actor) -> None:
    upload = applied(actor, store, catalog("-A,bad,=Minus A", "B,B0TESTTEE1,B"))
    mended = merchant.get(f"/uploads/{upload.id}/refused.csv").get_data().replace(b"bad", b"B0TESTAAA1")
    upload = applied(actor, store, mended)
    assert (upload.n_new, upload.n_refused) == (1, 0)
    listing = db.session.scalars(select(Listing).where(Listing.sku_code == "-A")).one()
    assert listing.name == "=Minus A"


def test_what_is_refused_again_of_a_file_of_refusals_can_be_handed_in_as_it_is(merchant, store, actor) -> None:
    content = catalog("A;-1,bad,Kit; -20% off,x", "-A,worse,A,x", "B,B0TESTTEE1,B,", header="sku_code,asin,name,reason")
    for wrong, right in ((b"bad", b"B0TESTAAA1"), (b"worse", b"B0TESTAAA2")):
        upload = applied(actor, store, content)
        answer = merchant.get(f"/uploads/{upload.id}/refused.csv")
        assert rows_of(answer)[0][:4] == ["row_number", "reason", "flexdash_export", "sku_code"]
        content = answer.get_data().replace(wrong, right)
    assert applied(actor, store, content).n_refused == 0
    found = db.session.execute(select(Listing.sku_code, Listing.name)).all()
    assert sorted(found) == [("-A", "A"), ("A;-1", "Kit; -20% off"), ("B", "B")]


def test_many_refused_rows_come_in_portions(merchant, store, actor, monkeypatch) -> None:
    from flexdash.services.uploads import downloads

    monkeypatch.setattr(downloads, "_AT_A_TIME", 10)
    upload = checked(actor, store, catalog(*(f"S{n},bad,x" for n in range(45))))
    rows = rows_of(merchant.get(f"/uploads/{upload.id}/refused.csv"))
    assert [row[3] for row in rows[1:]] == [f"S{n}" for n in range(45)]


def test_a_file_of_stock_says_what_becomes_of_changes_since_the_check(merchant, seller, actor, workspace) -> None:
    factories.make_hub(workspace, "PUNE")
    content = b"hub_code,sku_code,quantity\nPUNE,TEE,5\n"
    for mode, is_said in ((StockMode.SET, True), (StockMode.ADD, False)):
        upload = checked(actor, seller, content, "stock", mode=mode)
        said = "What orders ship until it is applied will be taken off its numbers."
        assert (said in merchant.get(f"/uploads/{upload.id}").text) == is_said
        deciding.accept(actor, upload.id, is_another_delivery=True)
        work(upload.id)
        said = "What orders shipped after the file was checked is taken off its numbers"
        assert (said in merchant.get(f"/uploads/{upload.id}").text) == is_said
        content += b"PUNE,MUG,5\n"


def test_refused_stock_rows_name_their_hub(merchant, seller, actor, workspace) -> None:
    factories.make_hub(workspace, "PUNE")
    content = b"hub_code,sku_code,quantity\npune,TEE,5\nPUNE,TEE,6\nMARS,TEE,6\n"
    upload = checked(actor, seller, content, "stock")
    rows = rows_of(merchant.get(f"/uploads/{upload.id}/refused.csv"))
    assert [row[3:] for row in rows[1:]] == [["PUNE", "TEE", "6"], ["MARS", "TEE", "6"]]
    page = text_of(merchant.get(f"/uploads/{upload.id}"))
    assert "PUNE · TEE · 6" in page
    assert "MARS · TEE · 6" in page


def test_templates_name_the_columns(merchant) -> None:
    expected = {
        "catalog": "sku_code,asin,name,barcode,mrp,weight_g,length_cm,width_cm,height_cm",
        "prices": "sku_code,selling_price,currency",
        "stock": "hub_code,sku_code,quantity",
    }
    for kind, columns in expected.items():
        assert rows_of(merchant.get(f"/uploads/templates/{kind}.csv")) == [columns.split(",")]
    assert merchant.get("/uploads/templates/orders.csv").status_code == 404


def test_templates_list_what_is_still_to_be_filled_in(merchant, store, seller, workspace) -> None:
    factories.make_sku(seller, "TEE", "Tee")
    factories.make_sku(seller, "MUG", "=Mug")
    factories.make_listing(store, "TEE")
    factories.make_listing(store, "LAMP", price=Decimal(5))
    rows = rows_of(merchant.get(f"/uploads/templates/catalog.csv?store={store.id}"))
    assert [row[:3] for row in rows[1:]] == [["MUG", "", "'=Mug"]]
    rows = rows_of(merchant.get(f"/uploads/templates/prices.csv?store={store.id}"))
    assert rows[1:] == [["TEE", "", "INR", ""]]
    factories.make_hub(workspace, "PUNE")
    rows = rows_of(merchant.get(f"/uploads/templates/stock.csv?seller={seller.id}"))
    assert rows[1:] == [["PUNE", "TEE", "", ""], ["PUNE", "MUG", "", ""]]
    factories.make_hub(workspace, "BLR")
    assert len(rows_of(merchant.get(f"/uploads/templates/stock.csv?seller={seller.id}"))) == 1


# History --------------------------------------------------------------------------------------------------------------


def test_the_history_is_narrowed_by_its_filters(merchant, store, seller) -> None:
    factories.make_upload(store, "applied", file_name="catalog-one.csv", n_new=1_204)
    ravi = factories.make_user(seller.workspace, name="Ravi")
    prices = {"kind": UploadKind.PRICES, "uploaded_by_id": ravi.id, "uploaded_by_name": "Ravi as he was called"}
    factories.make_upload(store, "refused", file_name="prices-two.csv", **prices)
    factories.make_upload(seller, "checked", file_name="stock-three.csv")
    page = merchant.get("/uploads").text
    names = re.findall(r'class="upload-name"[^>]*>([^<]+)<', page)
    assert names == ["stock-three.csv", "prices-two.csv", "catalog-one.csv"]
    assert "1,204" in page

    def shown(query: str) -> list[str]:
        return re.findall(r'class="upload-name"[^>]*>([^<]+)<', merchant.get(f"/uploads?{query}").text)

    assert shown("kind=prices") == ["prices-two.csv"]
    assert shown("state=applied") == ["catalog-one.csv"]
    assert shown(f"store={store.id}") == ["prices-two.csv", "catalog-one.csv"]
    assert shown(f"seller={seller.id}&kind=stock") == ["stock-three.csv"]
    assert shown(f"person={ravi.id}") == ["prices-two.csv"]
    assert shown("from=2000-01-01&to=2000-01-02") == []
    assert shown("sort=oldest") == names[::-1]
    assert shown("kind=x&state=y&store=z&person=nobody") == names
    assert "No upload fits these filters." in merchant.get("/uploads?kind=prices&state=applied").text


def test_who_can_be_picked_has_uploaded_something_the_viewer_may_see(
    merchant, person, store, seller, workspace, signed_in
) -> None:
    other = factories.make_seller(workspace)
    ravi, mira, _ = (factories.make_user(workspace, name=name) for name in ("Ravi", "Mira", "Nobody's"))
    factories.make_upload(store, uploaded_by_id=ravi.id)
    factories.make_upload(other, uploaded_by_id=mira.id)

    def offered(browser) -> list[str]:
        select = re.search(r'<select[^>]*name="person".*?</select>', browser.get("/uploads").text, re.DOTALL)
        assert select is not None
        return re.findall(r"<option[^>]*>([^<]+)</option>", select[0])

    assert offered(merchant) == ["Everybody", "Mira", "Ravi"]
    assert offered(signed_in(factories.make_user(workspace, sellers=[seller]))) == ["Everybody", "Ravi"]


@pytest.mark.parametrize("sees_all", [True, False])
def test_who_uploaded_is_found_by_the_index_of_each_persons_uploads(app, seller, workspace, sees_all) -> None:
    if db.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by size, and these tables are empty")
    viewer = factories.make_actor(factories.make_user(workspace, sellers=None if sees_all else [seller]))
    statements: list[tuple[str, object]] = []
    event.listen(db.engine, "before_cursor_execute", watch := lambda *args: statements.append((args[2], args[3])))
    try:
        history.people(viewer)
    finally:
        event.remove(db.engine, "before_cursor_execute", watch)
    [(statement, values)] = [one for one in statements if "uploads" in one[0]]
    plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
    assert any("ix_uploads_uploaded_by_id" in str(row[-1]) for row in plan)


def test_an_empty_history_says_what_to_do(merchant, support) -> None:
    assert "Start with a store's catalog" in unescape(merchant.get("/uploads").text)
    assert "Merchants and admins upload" in support.get("/uploads").text


def test_nobody_sees_the_uploads_of_others(merchant, workspace, store, actor, signed_in) -> None:
    upload = checked(actor, store, catalog("TEE,B0TESTTEE1,Tee", "CUP,bad,Cup"), name="secret.csv")
    limited = signed_in(factories.make_user(workspace, sellers=[factories.make_seller(workspace)]))
    stranger = signed_in(factories.make_user(factories.make_workspace(), Role.ADMIN))
    for client in (limited, stranger):
        assert "secret.csv" not in client.get("/uploads").text
        assert client.get(f"/uploads/new?kind=catalog&store={store.id}").status_code == 404
        assert client.get(f"/uploads/new?kind=stock&seller={store.seller_id}").status_code == 404
        assert client.get(f"/uploads/templates/catalog.csv?store={store.id}").status_code == 404
        assert client.get(f"/uploads/templates/stock.csv?seller={store.seller_id}").status_code == 404
        for address in ("", "/live", "/refused.csv", "/discard"):
            assert client.get(f"/uploads/{upload.id}{address}").status_code == 404
        for address in ("apply", "discard", "read-again", "try-again"):
            assert client.post(f"/uploads/{upload.id}/{address}").status_code == 404
        assert send(client, f"/uploads/new?kind=catalog&store={store.id}", b"x").status_code == 404
    assert fresh(upload.id).state is UploadState.CHECKED


def test_a_wide_or_long_row_is_shown_cut(merchant, store, actor) -> None:
    upload = checked(actor, store, catalog(f"{'A' * 5000},bad,x"))
    assert len(merchant.get(f"/uploads/{upload.id}").text) < 40_000
    assert hand_in(actor, store, b"x") > upload.id
