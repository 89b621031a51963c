"""Addresses on Amazon's side: only ever on Amazon's hosts."""

from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexdash.amazon.consent import consent_url, login_first_target
from flexdash.amazon.countries import COUNTRIES, country
from flexdash.amazon.errors import UntrustedCallback

CALLBACK = "https://sellercentral.amazon.in/apps/authorize/confirm/amzn1.sellerapps.app.x"


def target(address, **changes):
    arguments = {"amazon_state": "their state&", "state": "ours", "redirect_uri": "https://f.example/amazon/callback"}
    return login_first_target(address, **{**arguments, "is_draft": False, **changes})


def test_the_consent_page_is_on_the_countrys_seller_central():
    address = consent_url(
        country("IN"), application_id="amzn1.app", state="s/=&", redirect_uri="https://f.example/cb", is_draft=False
    )
    parts = urlsplit(address)
    assert (parts.scheme, parts.netloc, parts.path) == (
        "https",
        "sellercentral.amazon.in",
        "/apps/authorize/consent",
    )
    assert parse_qs(parts.query) == {
        "application_id": ["amzn1.app"],
        "state": ["s/=&"],
        "redirect_uri": ["https://f.example/cb"],
    }


def test_a_draft_app_says_so_and_the_sandbox_stands_in_for_seller_central():
    address = consent_url(
        country("DE"),
        application_id="a",
        state="s",
        redirect_uri="r",
        is_draft=True,
        seller_central_url="http://127.0.0.1:9000/",
    )
    assert address.startswith("http://127.0.0.1:9000/apps/authorize/consent?")
    assert parse_qs(urlsplit(address).query)["version"] == ["beta"]


@pytest.mark.parametrize("entry", COUNTRIES, ids=lambda entry: entry.code)
def test_every_countrys_seller_central_is_trusted(entry):
    assert urlsplit(target(f"https://{entry.seller_central_host}/apps/confirm")).netloc == entry.seller_central_host


@pytest.mark.parametrize(
    "host",
    ["amazon.com", "www.amazon.in", "sellercentral.amazon.de", "sellercentral-japan.amazon.com", "amazon.co.uk"],
)
def test_amazons_other_hosts_are_trusted(host):
    assert urlsplit(target(f"https://{host}/x")).netloc == host


def test_the_answer_to_amazon_carries_both_states_and_keeps_what_was_there():
    parts = urlsplit(target(CALLBACK + "?keep=1&state=forged#part", is_draft=True))
    assert parts.fragment == ""
    assert parse_qsl(parts.query) == [
        ("keep", "1"),
        ("redirect_uri", "https://f.example/amazon/callback"),
        ("amazon_state", "their state&"),
        ("state", "ours"),
        ("version", "beta"),
    ]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "http://sellercentral.amazon.in/x",
        "https://evil-amazon.com/x",
        "https://amazon.com.evil.net/x",
        "https://sellercentral.amazon.evil.com/x",
        "https://sellercentral-.amazon.com/x",
        "https://sellercentral.amazon.in.evil.net",
        "https://sellercentral.amazon.in:443/x",
        "https://sellercentral.amazon.in:8443/x",
        "https://sellercentral.amazon.in@evil.net/x",
        "https://evil.net\\@sellercentral.amazon.in/x",
        "https://evil.net/?https://sellercentral.amazon.in/",
        "https://evil.net#sellercentral.amazon.in",
        "https://sellercentral.amazon.in\t.evil.net/",
        "https://sellercentral.amazon.in\r\nLocation: https://evil.net/",
        "https:sellercentral.amazon.in",
        "https:///sellercentral.amazon.in",
        "//sellercentral.amazon.in/x",
        "/x",
        "javascript:alert(1)//sellercentral.amazon.in",
        "ftp://sellercentral.amazon.in/x",
        "https://sellercentral．amazon.in/x",
        "https://sellercentral.amаzon.in/x",  # a Cyrillic a
        "https://[::1]/x",
        "https://[sellercentral.amazon.in/x",
        "https://sellercentral.amazon.in/" + "x" * 3000,
    ],
)
def test_anything_else_is_refused(address):
    with pytest.raises(UntrustedCallback):
        target(address)


@pytest.mark.parametrize("extra", ["127.0.0.1:9000", "http://127.0.0.1:9000", "http://127.0.0.1:9000/"])
def test_the_sandbox_is_trusted_when_it_is_named(extra):
    address = "http://127.0.0.1:9000/apps/authorize/confirm"
    assert target(address, extra_hosts=[extra]).startswith(address + "?")
    with pytest.raises(UntrustedCallback):
        target(address)
    with pytest.raises(UntrustedCallback):
        target("http://127.0.0.1:9001/apps", extra_hosts=[extra])


def test_an_empty_extra_host_opens_nothing():
    with pytest.raises(UntrustedCallback):
        target("https:///x", extra_hosts=[""])


@given(st.text() | st.from_regex(r"https?://[a-z.@:\\/]*amazon[a-z.@:\\/]*", fullmatch=True))
def test_whatever_is_asked_the_browser_goes_to_amazon_or_nowhere(address):
    try:
        parts = urlsplit(target(address))
    except UntrustedCallback:
        return
    assert parts.scheme == "https"
    assert parts.netloc == "amazon.com" or ".".join(parts.netloc.split(".")[-4:]).count("amazon.") == 1
    assert parts.port is None
    assert parts.username is None
