"""What takes a buyer out of a text: every way the name, the address and the telephone number may be written."""

import pytest

from flexdash.services.buyer_words import BuyerMask

BUYER = {
    "name": "Canary Qzxname",
    "email": "buyer.qzxmail@marketplace.amazon.in",
    "phone": "+91 98765 43210",
    "address_lines": ["Flat 4", "12 Qzxstreet"],
    "postal_code": "411001",
    "city": "Pune",
    "country_code": "IN",
    "gift_message": "Happy birthday, Qzxniece",
}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Ship-to of Canary Qzxname, 12 Qzxstreet", "Ship-to of [hidden], [hidden]"),
        ("No way to Mr Qzxname, Qzxstreet 12", "No way to Mr [hidden], [hidden] 12"),
        ("canary   qzxname; Canary\xa0Qzxname", "[hidden]; [hidden]"),
        ("FLAT 4, Pune 411001", "[hidden], Pune [hidden]"),
        ("for Qzxniece", "for [hidden]"),
        ("write to qzxmail, or buyer.qzxmail@marketplace.amazon.in", "write to [hidden], or [hidden]"),
        ("call 9876543210 or 98765-43210", "call [hidden] or [hidden]"),
        ("call +91 (98765) 43210.", "call [hidden]."),
        ("call 0091 98765 43210 now", "call [hidden] now"),
    ],
)
def test_the_buyer_is_taken_out_however_written(said: str, shown: str) -> None:
    assert BuyerMask(BUYER)(said) == shown


@pytest.mark.parametrize(
    "said",
    [
        "402-1234567-1234567 is SHIPPED in Pune, IN",
        "request id 0f9876543210ab, 198765432101, FD-000412",
        "Qzxnames and Qzxstreets",  # of somebody else
        "Cancelled by the buyer or by Amazon's own marketplace",
    ],
)
def test_what_is_no_word_of_the_buyers_stays(said: str) -> None:
    assert BuyerMask(BUYER)(said) == said


@pytest.mark.parametrize("buyer", [None, {}, {"name": ""}, {"name": "Jo", "phone": "12"}])
def test_too_little_is_nobody(buyer) -> None:
    assert BuyerMask(buyer)("Jo said 12 of no name") == "Jo said 12 of no name"
