"""What people write into catalogs, price lists and stock: what is kept, and what is refused with which words."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexdash.services import catalog_values as values
from flexdash.services.catalog_values import BadValue


@pytest.mark.parametrize(
    ("clean", "text", "kept"),
    [
        (values.clean_sku_code, "  TEE-BLK-M ", "TEE-BLK-M"),
        (values.clean_sku_code, "1E5", "1E5"),
        (values.clean_sku_code, "007", "007"),
        (values.clean_sku_code, "\u00a0tee blk\u00a0", "tee blk"),
        (values.clean_sku_code, "x" * 100, "x" * 100),
        (values.clean_sku_code, "कप-1", "कप-1"),
        (values.clean_asin, " B0TESTASIN ", "B0TESTASIN"),
        (values.clean_asin, "0012345678", "0012345678"),
        (values.clean_name, "  Kettle,\n 1.7 litres\t", "Kettle, 1.7 litres"),
        (values.clean_name, "क्\u200dष", "क्\u200dष"),
        (values.clean_name, "<svg onload=alert(1)>", "<svg onload=alert(1)>"),
        (values.clean_barcode, " 0890123456789 ", "0890123456789"),
        (values.clean_barcode, "  ", ""),
        (values.clean_money, "499", Decimal("499.00")),
        (values.clean_money, " 0007.5 ", Decimal("7.50")),
        (values.clean_money, ".5", Decimal("0.50")),
        (values.clean_money, "12.34560", Decimal("12.3456")),
        (values.clean_money, "0", Decimal("0.00")),
        (values.clean_weight_g, "250", 250),
        (values.clean_weight_g, "250.0", 250),
        (values.clean_weight_g, " ", None),
        (values.clean_cm, "30.50", Decimal("30.5")),
        (values.clean_cm, "030", Decimal("30")),
        (values.clean_cm, "", None),
        (values.clean_quantity, "0", 0),
        (values.clean_quantity, " 015 ", 15),
        (values.clean_quantity, "15.0", 15),
    ],
)
def test_what_can_be_kept_is_kept_in_one_form(clean, text, kept) -> None:
    cleaned = clean(text)
    assert cleaned == kept
    assert str(cleaned) == str(kept)


@pytest.mark.parametrize(
    ("clean", "text", "words"),
    [
        (values.clean_sku_code, "  ", "The SKU is missing"),
        (values.clean_sku_code, "x" * 101, "101 characters"),
        (values.clean_sku_code, "TEE\nBLK", "cannot be seen"),
        (values.clean_sku_code, "TEE\u200bBLK", "cannot be seen"),
        (values.clean_asin, "", "The ASIN is missing"),
        (values.clean_asin, "b0testasin", "Write B0TESTASIN."),
        (values.clean_asin, "12345678", "write 0012345678"),
        (values.clean_asin, "1.23E+09", "exactly 10 characters"),
        (values.clean_asin, "B0TESTASINX", "exactly 10 characters"),
        (values.clean_asin, "B0TEST-SIN", "exactly 10 characters"),
        (values.clean_asin, "٠١٢٣٤٥٦٧٨٩", "exactly 10 characters"),
        (values.clean_name, "\n", "The name is missing"),
        (values.clean_name, "x" * 251, "251 characters"),
        (values.clean_name, "a\x08b", "cannot be seen"),
        (values.clean_barcode, "x" * 51, "51 characters"),
        (values.clean_barcode, "8.90123E+12", "last digits are lost"),
        (values.clean_barcode, "8\x01", "cannot be seen"),
        (values.clean_price, "0.00", "A price of zero cannot be"),
        (values.clean_price, "-1", "cannot be negative"),
        (values.clean_price, "499.125", "“499.125” has more decimals than a price in this currency has: 2. Round it."),
        (values.clean_money, "", "The amount is missing"),
        (values.clean_money, "1,499.00", "has a comma"),
        (values.clean_money, "499,00", "has a comma"),
        (values.clean_money, "-1", "cannot be negative"),
        (values.clean_money, "₹499", "is no number"),
        (values.clean_money, "1e3", "is no number"),
        (values.clean_money, "NaN", "is no number"),
        (values.clean_money, "1.23456", "more than four decimals"),
        (values.clean_money, "12345678901", "larger than any amount"),
        (values.clean_weight_g, "-5", "cannot be negative"),
        (values.clean_weight_g, "0", "weight of zero"),
        (values.clean_weight_g, "1.5", "no whole number"),
        (values.clean_weight_g, "2 kg", "is no number"),
        (values.clean_weight_g, "999999999", "heavier"),
        (values.clean_cm, "0.0", "length of zero"),
        (values.clean_cm, "1.234", "two decimals"),
        (values.clean_cm, "100000", "longer"),
        (values.clean_quantity, "", "The quantity is missing"),
        (values.clean_quantity, "-1", "cannot be negative"),
        (values.clean_quantity, "1.5", "no whole number"),
        (values.clean_quantity, "100000000", "The most is 99,999,999"),
        (values.clean_quantity, "٣", "is no number"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_words(clean, text, words) -> None:
    with pytest.raises(BadValue) as refusal:
        clean(text)
    assert words in refusal.value.sentence
    assert len(refusal.value.sentence) < 280


@given(st.text())
def test_any_text_is_kept_or_refused_and_what_is_kept_stays_as_it_is(text) -> None:
    for clean in (
        values.clean_sku_code,
        values.clean_asin,
        values.clean_name,
        values.clean_barcode,
        values.clean_money,
        values.clean_weight_g,
        values.clean_cm,
        values.clean_quantity,
    ):
        try:
            kept = clean(text)
        except BadValue:
            continue
        assert kept is None or clean(str(kept)) == kept
