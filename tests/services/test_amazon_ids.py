"""Amazon's ids out of whatever people paste."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexdash.services.amazon_ids import is_order_id, order_id_meant, read_ids


@pytest.mark.parametrize(
    "text",
    [
        "SB7K2M9QX,D1px1063T\n402-1234567-7654321",
        "SB7K2M9QX;D1px1063T\t402-1234567-7654321",
        " SB7K2M9QX | D1px1063T | 402-1234567-7654321 | ",
        "“SB7K2M9QX”, (D1px1063T), [402-1234567-7654321].",
        "• SB7K2M9QX\r\n• D1px1063T\r\n• 402–1234567–7654321\r\n",
        "SB7K2M9QX\u200b\u00a0D1px1063T\ufeff 402\u20111234567\u20117654321",
        "'SB7K2M9QX'\x00\"D1px1063T\"\x0b40212345677654321",
        "SB7K2M9QX D1px1063T SB7K2M9QX 402-1234567-7654321 40212345677654321",
    ],
)
def test_ids_are_read_whatever_stands_between_them(text) -> None:
    assert read_ids(text).ids == ("SB7K2M9QX", "D1px1063T", "402-1234567-7654321")
    assert read_ids(text).unreadable == ()


def test_capital_and_small_letters_of_shipment_ids_stay() -> None:
    assert read_ids("D1px1063T d1PX1063t").ids == ("D1px1063T", "d1PX1063t")


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("402-1234567-765432", "3, 7 and 7 digits"),
        ("402-1234567", "3, 7 and 7 digits"),
        ("4.0212E+16", "a spreadsheet has shortened"),
        ("4OO-0000013-0102947", "order ids have digits only: perhaps 400-0000013-0102947 is meant"),
        ("400000001301O2947", "order ids have digits only: perhaps 400-0000013-0102947 is meant"),
        ("FD-000123", "FlexDash's own"),
        ("fd123", "FlexDash's own"),
        ("Größe", "not an id"),
        ("abc", "not an id"),
        ("x" * 101, "not an id"),
        ("<svg/onload=alert(1)>", "not an id"),
    ],
)
def test_what_is_no_id_is_named_with_its_reason(word, reason) -> None:
    found = read_ids(f"SB7K2M9QX {word}")
    assert found.ids[0] == "SB7K2M9QX"
    assert any(reason in why for _, why in found.unreadable)


@pytest.mark.parametrize(
    ("amazon_id", "is_order"), [("402-1234567-7654321", True), ("S01-1234567-7654321", True), ("SB7K2M9QX", False)]
)
def test_order_ids_are_told_from_shipment_ids(amazon_id, is_order) -> None:
    assert is_order_id(amazon_id) is is_order


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("4OO-0000013-0102947", "400-0000013-0102947"),
        ("40o-00000I3-0l02947", "400-0000013-0102947"),
        ("400000001301O2947", "400-0000013-0102947"),
        ("400-0000013-0102947", ""),
        ("40000000130102947", ""),
        ("S01-1234567-7654321", ""),
        ("4OO-0000013", ""),
        ("SBO10I1OO", ""),
    ],
)
def test_letters_that_look_like_digits_tell_which_order_id_was_meant(word, meant) -> None:
    assert order_id_meant(word) == meant


@given(st.text())
def test_any_text_is_read_and_every_id_can_be_kept(text) -> None:
    found = read_ids(text)
    assert len(set(found.ids)) == len(found.ids)
    assert all(4 <= len(amazon_id) <= 100 and amazon_id.isascii() for amazon_id in found.ids)
    assert read_ids(" ".join(found.ids)).ids == found.ids
