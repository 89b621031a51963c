"""Files behind the short-lived addresses in Amazon's answers: fetched without a token, bounded, never elsewhere."""

import logging

import pytest

from flexdash.amazon import errors, files
from flexdash.amazon.countries import country
from flexdash.amazon.http_pool import new_pool
from flexdash.amazon.seller_central import order_address
from tests.amazon.stub import Give


def test_a_file_comes_with_its_type_and_no_token_goes_out(stub, caplog):
    caplog.set_level(logging.DEBUG)
    stub.answers = [Give(200, body=b"%PDF", headers={"Content-Type": "Application/PDF; charset=binary"})]
    url = f"{stub.url}/labels/1?X-Amz-Signature=secret-signature"
    with new_pool(5) as http:
        found = files.fetch(url, timeout_seconds=5, own_origin=stub.url, http=http)
    assert (found.content_type, found.content) == ("application/pdf", b"%PDF")
    [seen] = stub.seen
    assert not {"x-amz-access-token", "authorization", "cookie"} & seen.headers.keys()
    assert "secret-signature" not in caplog.text
    assert "%PDF" not in repr(found)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/label",  # not the origin that stands in for Amazon
        "http://labels.example/label",
        "https://user:word@labels.example/label",
        "file:///etc/passwd",
        "//labels.example/label",
        "https://127.0.0.1/label",
        "https://[bad/label",
        "https://a..b/label",
        "https://xn--zzzzzz99999.com/label",
        "",
    ],
)
def test_an_address_that_is_none_of_amazons_is_not_followed(http, url):
    with pytest.raises(errors.UnreadableAnswer, match="does not follow"):
        files.fetch(url, timeout_seconds=5, own_origin="http://127.0.0.1:2", http=http)


def test_a_redirect_is_not_followed(stub, http):
    stub.answers = [Give(302, body=b"x", headers={"Location": "https://elsewhere.example/"})]
    with pytest.raises(errors.AmazonUnavailable):
        files.fetch(f"{stub.url}/a", timeout_seconds=5, own_origin=stub.url, http=http)


@pytest.mark.parametrize("status", [403, 404, 500])
def test_an_address_that_has_run_out_is_worth_another_try_with_a_fresh_one(stub, http, status):
    stub.answers = [Give(status, body=b"<Error/>")]
    with pytest.raises(errors.AmazonUnavailable) as caught:
        files.fetch(f"{stub.url}/a?signature=secret", timeout_seconds=5, own_origin=stub.url, http=http)
    assert caught.value.is_retryable
    assert "secret" not in str(caught.value)


def test_a_file_without_end_is_refused(stub, http, monkeypatch):
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 10)
    stub.answers = [Give(200, body=b"x" * 11)]
    with pytest.raises(errors.UnreadableAnswer, match="larger than"):
        files.fetch(f"{stub.url}/a", timeout_seconds=5, own_origin=stub.url, http=http)


def test_the_address_of_an_order_is_its_countrys_seller_central():
    india = country("IN")
    assert order_address(india, "403-1-2") == "https://sellercentral.amazon.in/orders-v3/order/403-1-2"
    assert order_address(india, "a/b?c", "http://127.0.0.1:9/") == "http://127.0.0.1:9/orders-v3/order/a%2Fb%3Fc"
