"""Files of every kind that people hand in: what is read as it was meant, and what is refused with which sentence."""

import codecs
import csv
import io
import json
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from flexdash.extensions import db
from flexdash.models import Listing, Upload, UploadRow, UploadState
from flexdash.services import csv_export
from flexdash.services.errors import FieldRefused
from flexdash.services.uploads import columns, deciding, encodings, previews, receiving
from flexdash.services.uploads.encodings import NotUsable
from flexdash.services.uploads.reading import FileReader
from flexdash.services.uploads.records import MOST_LINES_OF_A_ROW, RecordReader, read_header
from tests import factories
from tests.support.uploads import applied, catalog, checked, counts, fresh, hand_in, reasons, work

COLUMNS = [
    columns.sku_code(),
    columns.asin(),
    columns.name(),
    columns.barcode(),
    columns.money("mrp", "mrp", "", is_required=False, example=""),
    columns.weight_g(),
    columns.centimetres("length_cm", "length", ""),
]
GOOD = "sku_code,asin,name\nTEE,B0TESTTEE1,Tee\n"


@pytest.fixture
def store(seller):
    return factories.make_store(seller, name="Pune Store")


@pytest.fixture
def actor(workspace):
    return factories.make_actor(factories.make_user(workspace, name="Asha"))


def read(content: bytes, size: int = 1 << 18, **how):
    """Return (row number, values) of the good rows and {row number: reason} of the others."""
    chunks = [content[start : start + size] for start in range(0, len(content), size)]
    good, bad = [], {}
    for batch in FileReader(chunks, COLUMNS, **how).batches():
        names = list(batch.values)
        for position, number in enumerate(batch.row_numbers):
            good.append((number, {name: batch.values[name][position] for name in names}))
        bad |= {row.row_number: row.reason for row in batch.refused}
    return good, bad


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return buffer.getvalue()


# Read as meant --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "how"),
    [
        pytest.param("sku_code,asin,name\nTEE,B0TESTTEE1,Thé “noir”\n".encode(), {}, id="UTF-8"),
        pytest.param(codecs.BOM_UTF8 + "sku_code,asin,name\r\nTEE,B0TESTTEE1,Thé “noir”\r\n".encode(), {}, id="BOM"),
        pytest.param(codecs.BOM_UTF8 * 2 + "sku_code,asin,name\nTEE,B0TESTTEE1,Thé “noir”\n".encode(), {}, id="2 BOMs"),
        pytest.param("sku_code,asin,name\nTEE,B0TESTTEE1,Thé “noir”".encode("utf-16"), {}, id="UTF-16"),
        pytest.param(
            codecs.BOM_UTF16_BE + "sku_code;asin;name\rTEE;B0TESTTEE1;Thé “noir”\r".encode("utf-16-be"),
            {},
            id="UTF-16 BE, old Mac line ends",
        ),
        pytest.param(
            "sku_code\tasin\tname\nTEE\tB0TESTTEE1\tThé “noir”\n".encode("utf-16-le"),
            {"encoding": "utf-16-le"},
            id="UTF-16 LE without a mark",
        ),
        pytest.param(
            "sku_code;asin;name\nTEE;B0TESTTEE1;Thé “noir”\n".encode("windows-1252"),
            {"encoding": "windows-1252"},
            id="Windows-1252",
        ),
        pytest.param('"sku_code","asin","name"\n"TEE","B0TESTTEE1","Thé “noir”"\n'.encode(), {}, id="all quoted"),
        pytest.param("sku_code\tasin\tname\nTEE\tB0TESTTEE1\tThé “noir”\n".encode(), {}, id="tabs"),
        pytest.param("sku_code;asin;name\nTEE;B0TESTTEE1;Thé “noir”\n".encode(), {"delimiter": ";"}, id="chosen"),
        pytest.param(" Name ,SKU  Code,ASIN\nThé “noir” , TEE,B0TESTTEE1 \n".encode(), {}, id="any order, blanks"),
        pytest.param("sku-code,Asin,NAME,,\nTEE,B0TESTTEE1,Thé “noir”,,\n".encode(), {}, id="empty columns"),
        pytest.param("\n,,\nsku_code,asin,name\nTEE,B0TESTTEE1,Thé “noir”,,,\n\n,,\n".encode(), {}, id="empty rows"),
        pytest.param("sep=;\nsku_code;asin;name\nTEE;B0TESTTEE1;Thé “noir”\n".encode(), {}, id="told to Excel"),
        pytest.param('sku_code,asin,name\nTEE,B0TESTTEE1,"Thé\r\n“noir”"\n'.encode(), {}, id="quoted line break"),
    ],
)
@pytest.mark.parametrize("size", [64, 1 << 18])
def test_a_file_is_read_as_it_was_meant(content, how, size) -> None:
    good, bad = read(content, size, **how)
    assert bad == {}
    assert [values for _, values in good] == [{"sku_code": "TEE", "asin": "B0TESTTEE1", "name": "Thé “noir”"}]


def test_texts_stay_texts() -> None:
    good, bad = read(
        b'sku_code,asin,name,barcode\n1E5,0012345678,=1+1,007\n<svg onload=alert(1)>,B0TESTTEE1,"a ""b""",\n'
    )
    assert bad == {}
    assert [list(values.values()) for _, values in good] == [
        ["1E5", "0012345678", "=1+1", "007"],
        ["<svg onload=alert(1)>", "B0TESTTEE1", 'a "b"', None],
    ]


def exported(*rows: list[str], headings=("sku_code", "asin", "name")) -> bytes:
    return "".join(csv_export.lines_to_upload(headings, rows)).encode()


CELLS = st.text(
    st.one_of(st.sampled_from("'=+-@;,\n\t \u00a0\"\ufeff\uff1da1"), st.characters(exclude_categories=["Cs"])),
    max_size=12,
).filter(lambda text: not set(text) & set("\r\0"))


@settings(max_examples=300)
@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=6), st.integers(64, 400))
def test_every_cell_of_an_export_is_read_as_it_was(rows, size) -> None:
    content = exported(*rows)
    first, *blocks = encodings.blocks([content[at : at + size] for at in range(0, len(content), size)], "utf-8")
    header = read_header(first.text, ["sku_code"], ["sku_code"], ",")
    reader = RecordReader(",", len(header.cells), is_export=header.is_of_export)
    found = [reader.read(first.text[header.n_characters :]), *(reader.read(block.text) for block in blocks)]
    found.append(reader.read("", is_end=True))
    assert not any(records.broken for records in found)
    assert [row for records in found for row in records.rows] == [[*row, ""] for row in rows]


@given(st.text(st.sampled_from("'=-;\r\n\t \"\ufeffa"), max_size=20))
def test_what_is_neutralised_can_be_told_again(text) -> None:
    assert csv_export.restored(csv_export.neutralised(text)) == text


def test_an_apostrophe_in_a_sellers_own_file_is_the_sellers() -> None:
    good, bad = read(b"sku_code,asin,name\n'-A,B0TESTTEE1,'=A\nA;'-1,B0TESTTEE1,x;'=y\n")
    assert bad == {}
    assert [(values["sku_code"], values["name"]) for _, values in good] == [("'-A", "'=A"), ("A;'-1", "x;'=y")]


def test_what_an_export_shielded_is_taken_for_what_it_was() -> None:
    good, _ = read(exported(["'-A", "B0TESTTEE1", "'=A"], ["-A", "B0TESTTEE1", "A;-1"]))
    assert [(values["sku_code"], values["name"]) for _, values in good] == [("'-A", "'=A"), ("-A", "A;-1")]


def test_the_mark_of_an_export_may_stand_anywhere() -> None:
    rows = [
        "sku_code,FlexDash Export,asin,name",
        "'-TEE,,B0TESTTEE1,'=Tee",
        "'TIS,,B0TESTTEE1,'Tis",
        "A,,B0TESTTEE1,'＝Tee",
    ]
    good, _ = read("\n".join(rows).encode())
    assert [values["sku_code"] for _, values in good] == ["-TEE", "'TIS", "A"]
    assert [values["name"] for _, values in good] == ["=Tee", "'Tis", "＝Tee"]
    assert good[0][1]["name"] == "=Tee"


def test_row_numbers_are_those_of_a_spreadsheet() -> None:
    content = b'sku_code,asin,name\n\nA,B0TESTTEE1,"two\nlines"\n,,\nB,bad,B\nC,B0TESTTEE1,C\n'
    for size in (20, 1000):
        good, bad = read(content, size)
        assert [number for number, _ in good] == [3, 6]
        assert list(bad) == [5]


# Refused whole --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "The file is empty.", id="empty"),
        pytest.param(zipped(), "This is a spreadsheet or zip file and no CSV file", id="xlsx"),
        pytest.param(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "This is an Excel workbook", id="xls"),
        pytest.param(b"%PDF-1.7\n", "This is a PDF", id="PDF"),
        pytest.param(b"\x1f\x8b\x08\0\0\0", "This is a compressed file", id="gzip"),
        pytest.param(b"PK\x05\x06" + bytes(18), "This is a zip file and no CSV file", id="empty zip"),
        pytest.param(b"7z\xbc\xaf\x27\x1c\0\4", "This is a compressed file", id="7z"),
        pytest.param(b"Rar!\x1a\x07\x01\0", "This is a compressed file", id="Rar"),
        pytest.param(b"BZh91AY&SY", "This is a compressed file", id="bzip2"),
        pytest.param(b"\x89PNG\r\n\x1a\n", "This is a picture", id="PNG"),
        pytest.param(b"\xff\xd8\xff\xe0\0\x10JFIF\0", "This is a picture", id="JPEG"),
        pytest.param(b"GIF89a\x01\0", "This is a picture", id="GIF"),
        pytest.param(b"{\\rtf1\\ansi sku_code}", "This is a word processor's file", id="RTF"),
        pytest.param(b"<html><table><tr><td>sku_code", "This is a web page or XML file", id="saved as a web page"),
        pytest.param(b"<?xml version='1.0'?><Workbook>", "This is a web page or XML file", id="XML spreadsheet"),
        pytest.param(GOOD.encode() + b"a\0b", "This is no text but some program's own file", id="NUL"),
        pytest.param(b"x" * 300_000 + b"\0", "This is no text but some program's own file", id="NUL late"),
        pytest.param(b"sku_code,asin,name\n" + b"x" * (1 << 20), "The file is larger than 1 MB", id="too large"),
    ],
)
def test_what_is_no_csv_is_refused_at_once(app, monkeypatch, store, actor, content, words) -> None:
    from dataclasses import replace

    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], max_upload_megabytes=1))
    with pytest.raises(FieldRefused) as refusal:
        hand_in(actor, store, content)
    assert refusal.value.field == "file"
    assert refusal.value.sentence.startswith(words)
    assert db.session.scalars(select(Upload)).all() == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"\n\n \n", "The file is empty: it has neither", id="blank"),
        pytest.param(b',,,\n"",,\n', "The file is empty: it has neither", id="empty cells"),
        pytest.param(
            b"sku,asin,title\nTEE,B0TESTTEE1,Tee\n",
            "The file has no column sku_code and name. Its first row has to name sku_code, asin and name, and it names "
            "“sku”, “asin” and “title”.",
            id="wrong columns",
        ),
        pytest.param(b"TEE,B0TESTTEE1,Tee\n", "The file has no column sku_code, asin and name.", id="no header"),
        pytest.param(
            b"sku_code,asin,name,ASIN \nTEE,B0TESTTEE1,Tee,x\n",
            "The first row names the column asin more than once",
            id="duplicate header",
        ),
        pytest.param(
            b"sku_code,asin,name,Brand,brand\n", "The first row names the column brand more than once", id="other twice"
        ),
        pytest.param(b"sku_code,asin,name\n", "The file names its columns and has no row below them", id="no rows"),
        pytest.param(
            b"sku_code,asin,name\n\n,,\n", "The file names its columns and has no row below them", id="blank rows"
        ),
        pytest.param(
            "sku_code,asin,name\nA,B0TESTTEE1,Tee\nB,B0TESTTEE1,Thé\n".encode("windows-1252"),
            "About row 3 the file is not UTF-8",
            id="Windows-1252 unasked",
        ),
        pytest.param(
            "sku_code,asin,name\nTEE,B0TESTTEE1,Tee\n".encode("utf-16-le"),
            "This is no text in UTF-8. Pick another encoding below.",
            id="UTF-16 without a mark",
        ),
        pytest.param(
            "sku_code,asin,name\nTEE,B0TESTTEE1,Tee\n".encode("utf-16")[:-1],
            "The file ends in the middle of a character",
            id="cut off",
        ),
        pytest.param(GOOD.encode() + b"\xe2\x82", "The file ends in the middle of a character", id="UTF-8 cut off"),
        pytest.param(b'"sku_code,asin,name\nTEE,B0TESTTEE1,Tee\n', "The first row cannot be read", id="open header"),
        pytest.param(
            ("sku_code,asin,name," + ",".join(f"x{n}" for n in range(198)) + "\n").encode(),
            "The first row has 201 cells",
            id="too many columns",
        ),
        pytest.param(b"x" * 3_000_000, "The first row cannot be read", id="one endless line"),
    ],
)
def test_what_cannot_be_used_as_a_whole_is_refused_with_one_sentence(store, actor, content, words) -> None:
    upload = checked(actor, store, content)
    assert upload.state is UploadState.REFUSED
    assert upload.error_sentence.startswith(words)
    assert upload.error_sentence.count("\n") == 0
    assert counts(upload) == (0, 0, 0, 0)
    assert db.session.scalars(select(Listing)).all() == []


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["Tee", "Thé"])
def test_utf_16_without_a_mark_is_proposed(store, actor, encoding, name) -> None:
    upload = checked(actor, store, f"sku_code,asin,name\nTEE,B0TESTTEE1,{name}\n".encode(encoding))
    assert upload.state is UploadState.REFUSED
    assert previews.readings(upload) == [previews.Reading(encoding, "sku_code,asin,name")]


def test_the_person_picks_the_encoding_and_the_file_is_read_again(store, actor) -> None:
    upload = checked(actor, store, "sku_code;asin;name\nTEE;B0TESTTEE1;Thé\n".encode("windows-1252"))
    assert upload.state is UploadState.REFUSED
    deciding.read_again(actor, upload.id, encoding="windows-1252", delimiter="")
    upload = work(upload.id)
    assert (upload.state, upload.encoding, upload.delimiter) == (UploadState.CHECKED, "windows-1252", ";")
    deciding.read_again(actor, upload.id, encoding="mac-roman", delimiter=";")
    upload = work(upload.id)
    row = db.session.scalars(select(UploadRow).where(UploadRow.row_number == 2)).one()
    assert row.name == "ThÈ"
    deciding.read_again(actor, upload.id, encoding="utf-16-be", delimiter="\t")
    assert work(upload.id).state is UploadState.REFUSED
    assert db.session.scalars(select(UploadRow).where(UploadRow.outcome.is_not(None))).all() == []


# Refused per row ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (",B0TESTTEE1,Tee", "sku_code: The SKU is missing"),
        ("TEE,,Tee", "asin: The ASIN is missing"),
        ("TEE,b0testtee1,Tee", "asin: “b0testtee1” is no ASIN: the letters of an ASIN are capitals"),
        ("TEE,B0TEST,Tee", "asin: “B0TEST” is no ASIN"),
        ("TEE,12345678,Tee", "A spreadsheet may have cut off the zeros"),
        ("TEE,B0TESTTEE1,", "name: The name is missing"),
        (f"{'x' * 101},B0TESTTEE1,Tee", "sku_code: The SKU has 101 characters"),
        (f"TEE,B0TESTTEE1,{'x' * 251}", "name: The name has 251 characters"),
        (f"TEE,B0TESTTEE1,{'x' * 100_000}", "name: The name has 100,000 characters"),
        (f'TEE,B0TESTTEE1,"{"x" * 200_000}"', "far too long to be read"),
        ("TEE,B0TESTTEE1", "This row has 2 cells and the first row names 3 columns"),
        ("TEE", "This row has 1 cell and the first row names 3 columns"),
        ("TEE,B0TESTTEE1,Tee,black", "This row has 4 cells and the first row names 3 columns"),
        ('TEE,B0TESTTEE1,"Tee', "A quotation mark opens in this row and is not closed"),
        ('"TEE,B0TESTTEE1,Tee', "A quotation mark opens in this row and is not closed"),
        ('TEE,B0TESTTEE1,"Tee" black', "A quotation mark stands in the middle of a quoted cell"),
        ('TEE,B0TESTTEE1,"5" pipe"', "A quotation mark stands in the middle of a quoted cell"),
        ("sku_code,asin,name", "asin: “asin” is no ASIN"),
        (f"{'TEE,' * 400_000}", "This row is longer than 1,000,000 characters"),
        (f"TEE,B0TESTTEE1,Tee{' ' * 1_600_000}", "This row is longer than 1,000,000 characters"),
    ],
)
@pytest.mark.parametrize("size", [1000, 1 << 18])
def test_one_bad_row_is_refused_and_the_others_go_in(row, words, size) -> None:
    content = f'sku_code,asin,name\nA,B0TESTAAA1,"A ""1"""\n{row}\nB,B0TESTBBB1,"B\n2"\nC,B0TESTCCC1,C\n'
    good, bad = read(content.encode(), size)
    assert list(bad) == [3]
    assert words in bad[3]
    assert len(bad[3]) <= 300
    assert [(number, values["name"]) for number, values in good] == [(2, 'A "1"'), (4, "B 2"), (5, "C")]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ("x" * 51 + ",,,", "barcode: The barcode has 51 characters"),
        ("8.9E+12,,,", "barcode: The barcode “8.9E+12” was shortened by a spreadsheet"),
        (',"1,499.00",,', "mrp: “1,499.00” has a comma"),
        (",-1,,", "mrp: “-1” is less than zero"),
        (",free,,", "mrp: “free” is no number"),
        (",,0,", "weight_g: A weight of zero"),
        (",,1.5,", "weight_g: “1.5” is no whole number"),
        (",,,-3", "length_cm: “-3” is less than zero"),
        (",x,y,z", "weight_g: “y” is no number"),
    ],
)
def test_a_bad_optional_value_refuses_its_row(cells, words) -> None:
    header = "sku_code,asin,name,barcode,mrp,weight_g,length_cm"
    good, bad = read(f"{header}\nTEE,B0TESTTEE1,Tee,{cells}\nMUG,B0TESTMUG1,Mug,,,,\n".encode())
    assert words in bad[2]
    assert len(good) == 1


@pytest.mark.parametrize("size", [64, 1 << 18])
def test_a_row_may_lack_the_cells_at_its_end_that_may_be_empty_and_have_blank_ones_more(size) -> None:
    rows = ["A,B0TESTAAA1,A,007", "B,B0TESTBBB1,B,,9.00,5,,x", "C,B0TESTCCC1", "D,B0TESTDDD1,D,,,,, ,\t,"]
    rows = ["sku_code,asin,name,barcode,mrp,weight_g,note", *rows, "E,B0TESTEEE1,E"]
    good, bad = read("\n".join(rows).encode(), size)
    assert [(number, values["barcode"], values["mrp"]) for number, values in good] == [
        (2, "007", None),
        (5, None, None),
        (6, None, None),
    ]
    assert bad[3].startswith("This row has 8 cells and the first row names 7 columns")
    assert bad[4].startswith("This row has 2 cells and the first row names 7 columns")


@pytest.mark.parametrize("size", [64, 1 << 18])
def test_a_short_row_of_several_lines_counts_as_never_closed(size) -> None:
    content = b'sku_code,asin,name,barcode\nA,B0TESTAAA1,"A\nB,B0TESTBBB1,B"\nC,B0TESTCCC1,C\n'
    good, bad = read(content, size)
    assert ([number for number, _ in good], list(bad)) == ([3, 4], [2])


def test_an_unclosed_mark_costs_one_row_however_long_the_file_is() -> None:
    rows = [f"SKU-{n},B{n:09d},Item {n}" for n in range(5_000)]
    rows[1_000] = '"' + rows[1_000]
    rows[3_000] = rows[3_000] + '"'
    rows[4_000] = 'SKU-4000,B000004000,"Item 4000'
    good, bad = read("\n".join(["sku_code,asin,name", *rows]).encode(), 10_000)
    assert sorted(bad) == [1_002, 4_002]
    assert len(good) == 4_998


@pytest.mark.parametrize("row", ['x","', 'x,"', '"x', '"x","', f'{"x" * 900},"'])
def test_marks_that_are_never_closed_have_each_row_looked_at_a_hundred_times_at_most(monkeypatch, row) -> None:
    n_rows, n_read = 500, 0
    real = csv.reader

    def counting(lines, **how):
        def counted():
            nonlocal n_read
            for line in lines:
                n_read += 1
                yield line

        return real(counted(), **how)

    monkeypatch.setattr(csv, "reader", counting)
    RecordReader(",", 2).read(f"{row}\n" * n_rows)
    assert n_read <= n_rows * (MOST_LINES_OF_A_ROW + 1)


@pytest.mark.parametrize("size", [64, 1 << 18])
def test_a_row_of_a_hundred_lines_is_read_and_one_of_more_is_not(size) -> None:
    def content(n_lines: int) -> bytes:
        text = "x\n" * (n_lines - 1)
        return f'sku_code,asin,name\nA,B0TESTAAA1,"{text}"\nB,B0TESTBBB1,B\n'.encode()

    good, bad = read(content(MOST_LINES_OF_A_ROW), size)
    assert ([number for number, _ in good], bad) == ([2, 3], {})
    _, bad = read(content(MOST_LINES_OF_A_ROW + 1), size)
    assert bad[2].startswith("A quotation mark opens in this row and is not closed")


def test_refused_rows_keep_their_cells(store, actor) -> None:
    content = f"sku_code,asin,name,note\n=TEE,bad,Tee,{'x' * 3000}\n"
    upload = checked(actor, store, content.encode())
    row = db.session.scalars(select(UploadRow).where(UploadRow.row_number == 2)).one()
    cells = json.loads(row.refused_text)
    assert cells[:3] == ["=TEE", "bad", "Tee"]
    assert len(row.refused_text) <= 2000
    assert reasons(upload.id)[2].startswith("asin: “bad” is no ASIN")


# Anything at all ------------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        "sku_code",
        "asin",
        "name",
        "mrp",
        ",",
        ";",
        "\t",
        "\n",
        "\r\n",
        "\r",
        '"',
        '""',
        "TEE",
        "B0TESTTEE1",
        "1,5",
        "é",
        "\0",
    ]
)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=60).map("".join).map(str.encode)),
    st.booleans(),
    st.sampled_from(["", *encodings.ENCODINGS]),
    st.integers(1, 400),
)
def test_no_bytes_do_anything_but_be_read_or_refused(content, has_header, encoding, size) -> None:
    if has_header:
        content = b"sku_code,asin,name\n" + content
    look = encodings.FirstLook()
    try:
        look.at(content)
        good, bad = read(content, max(size, 64), encoding=encoding)
    except NotUsable:
        return
    for _, values in good:
        assert len(values["asin"]) == 10
        assert values["sku_code"]
        assert all(value is None or ("\n" not in value and "\0" not in value) for value in values.values())
    assert all(0 < len(reason) <= 300 for reason in bad.values())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=40).map("".join).map(str.encode)), st.booleans())
def test_whatever_is_handed_in_ends_in_a_state_a_person_can_read(store, actor, content, has_header) -> None:
    if has_header:
        content = b"sku_code,asin,name\n" + content
    try:
        upload_id = hand_in(actor, store, content)
    except FieldRefused:
        return
    upload = work(upload_id)
    assert upload.state in (UploadState.CHECKED, UploadState.REFUSED)
    assert (upload.state is UploadState.REFUSED) == bool(upload.error_sentence)


def test_a_longer_text_than_the_database_takes_never_gets_there(store, actor) -> None:
    wide = ",".join(f"column {n} with a name that is rather long" for n in range(150))
    content = f"{wide},sku_code,asin,name\n" + "y," * 150 + "TEE,B0TESTTEE1,Tee\n" + "z" * 5000 + "\n"
    upload = applied(actor, store, content.encode())
    assert counts(upload) == (1, 0, 0, 1)
    assert fresh(upload.id).state is UploadState.APPLIED


def test_hundreds_of_files_in_a_row_leave_one_to_decide_on(store, actor) -> None:
    for n in range(5):
        hand_in(actor, store, catalog(f"SKU-{n},B0TESTTEE1,Tee"), name=f"{n}.csv")
    states = db.session.scalars(select(Upload.state).order_by(Upload.id)).all()
    assert states == [*[UploadState.DISCARDED] * 4, UploadState.RECEIVED]
    assert receiving.CHUNK >= 65_536
