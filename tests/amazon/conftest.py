"""A stub of Amazon, a client that talks to it, and Amazon's example shipment."""

import pytest
from cryptography.fernet import Fernet

from flexdash.amazon.client import AmazonClient, AmazonSettings
from flexdash.amazon.http_pool import new_pool
from flexdash.amazon.pacing import Pacer
from flexdash.amazon.transport import Transport
from tests.amazon.stub import Stub


class FernetCipher:
    """The shape of cipher the client is given; keeps what it encrypted for the tests to look at."""

    def __init__(self):
        self._fernet = Fernet(Fernet.generate_key())

    def encrypt(self, text):
        return self._fernet.encrypt(text.encode())

    def decrypt(self, token):
        return self._fernet.decrypt(token).decode()


class FixedTokens:
    """Stands in for AccessTokens where a test is not about tokens."""

    def __init__(self):
        self.n_renewed = 0

    def get(self):
        return "Atza|fixed"

    def renew(self, refused_token):
        self.n_renewed += 1
        return f"Atza|renewed-{self.n_renewed}"


class Pauses(list):
    """A sleep that only remembers."""

    def __call__(self, seconds):
        self.append(seconds)


@pytest.fixture
def stub():
    made = Stub()
    yield made
    made.close()


@pytest.fixture
def http():
    with new_pool(5) as pool:
        yield pool


@pytest.fixture
def cipher():
    return FernetCipher()


@pytest.fixture
def pauses():
    return Pauses()


@pytest.fixture
def turns():
    """How long the pacer would have slept, apart from the pauses between attempts."""
    return Pauses()


@pytest.fixture
def records():
    return []


@pytest.fixture
def amazon_settings(stub):
    return AmazonSettings(
        lwa_url=stub.lwa_url,
        api_url=stub.url,
        client_id="client-id",
        client_secret="client-secret",
        timeout_seconds=5,
        shipments_rps=1000,
    )


@pytest.fixture
def client(amazon_settings, redis_connection, cipher, http, records):
    return AmazonClient(
        amazon_settings,
        redis_connection,
        cipher,
        partner_id="A1SELLER",
        region="EU",
        refresh_token="Atzr|seller",
        on_call=records.append,
        http=http,
    )


@pytest.fixture
def tokens():
    return FixedTokens()


@pytest.fixture
def new_transport(stub, http, redis_connection, pauses, turns, records, tokens):
    def make(**changes):
        facts = {
            "http": http,
            "base_url": stub.url,
            "tokens": tokens,
            "pacer": Pacer(redis_connection, sleep=turns),
            "partner": "EU:A1SELLER",
            "user_agent": "FlexDash/1.0 (Language=Python)",
            "timeout_seconds": 5,
            "on_call": records.append,
            "sleep": pauses,
        }
        return Transport(**{**facts, **changes})

    return make
