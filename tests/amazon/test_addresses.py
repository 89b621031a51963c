"""Which addresses that an answer of Amazon's names FlexDash goes to."""

import pytest

from flexdash.amazon import errors
from flexdash.amazon.addresses import trusted
from flexdash.amazon.wire import send

AMAZON = "https://sellingpartnerapi-eu.amazon.com"
SANDBOX = "http://127.0.0.1:8100"


@pytest.mark.parametrize(
    ("address", "api_url"),
    [
        ("https://tortuga-prod-eu.s3-eu-west-1.amazonaws.com/%2FNinetyDays/x?X-Amz-Signature=a", AMAZON),
        ("https://d34o8swod1owfl.cloudfront.net:443/x", AMAZON),
        ("https://tortuga-prod-eu.s3-eu-west-1.amazonaws.com/x", SANDBOX),
        ("http://127.0.0.1:8100/documents/x?expires=1", SANDBOX),
        ("http://localhost:8100/documents/x", SANDBOX),
    ],
)
def test_addresses_that_are_gone_to(address, api_url):
    assert trusted(address, api_url).host


@pytest.mark.parametrize(
    ("address", "api_url"),
    [
        ("http://tortuga-prod-eu.s3.amazonaws.com/x", AMAZON),
        ("http://tortuga-prod-eu.s3.amazonaws.com/x", SANDBOX),
        ("http://127.0.0.1:8100/x", AMAZON),
        ("http://127.0.0.1:8101/x", SANDBOX),
        ("https://127.0.0.1:8100/x", SANDBOX),
        ("https://127.0.0.1/x", AMAZON),
        ("https://[::1]/x", AMAZON),
        ("https://10.0.0.8/x", AMAZON),
        ("https://169.254.169.254/latest/meta-data", AMAZON),
        ("https://localhost/x", AMAZON),
        ("https://printer.local/x", AMAZON),
        ("https://intranet/x", AMAZON),
        ("https://user:word@s3.amazonaws.com/x", AMAZON),
        ("https://s3.amazonaws.com:8443/x", AMAZON),
        ("ftp://s3.amazonaws.com/x", AMAZON),
        ("file:///etc/passwd", AMAZON),
        ("//s3.amazonaws.com/x", AMAZON),
        ("", AMAZON),
        ("not an address", AMAZON),
        ("https://s3.amazonaws.com\\@127.0.0.1/x", AMAZON),
        ("https://\ud800/x", AMAZON),
        ("https://[bad/x", AMAZON),
        ("https://a..b/x", AMAZON),
        ("https://xn--zzzzzz99999.com/x", AMAZON),
        ("https://.s3.amazonaws.com/x", AMAZON),
        (f"https://{'a' * 64}.amazonaws.com/x", AMAZON),
        (f"https://{'a.' * 130}com/x", AMAZON),
        ("https://s3.amazonaws.com:abc/x", AMAZON),
        ("https://s3.amazonaws.com/\x07", AMAZON),
        ("https://s3.amazonaws.com/" + "x" * 70_000, AMAZON),
    ],
)
def test_addresses_that_are_never_gone_to(address, api_url):
    with pytest.raises(errors.UntrustedAddress) as caught:
        trusted(address, api_url)
    assert not address or address not in str(caught.value)


@pytest.mark.parametrize("url", ["https://a..b/x", f"https://{'a' * 70}.example/x"])
def test_a_host_whose_name_no_network_takes_was_sent_nothing(http, url):
    reply = send(http, http.build_request("GET", url), timeout_seconds=5, max_bytes=1)
    assert reply.failure == "not_sent"
