"""The country table, the status mapping and the errors."""

import pytest

from flexdash.amazon import errors
from flexdash.amazon.countries import COUNTRIES, REGIONS, UnknownCountry, country, country_of_marketplace
from flexdash.amazon.statuses import PULLED_STATUSES, STATUS_TABLE, STATUSES, UNKNOWN, lookup
from flexdash.models import OrderState


def test_every_country_is_there_once_with_its_own_marketplace():
    assert len(COUNTRIES) == 23
    assert len({entry.code for entry in COUNTRIES}) == 23
    assert len({entry.marketplace_id for entry in COUNTRIES}) == 23
    assert {entry.region for entry in COUNTRIES} == set(REGIONS)
    assert all(len(entry.code) == 2 and len(entry.currency) == 3 for entry in COUNTRIES)


def test_seller_flex_is_known_where_amazon_shows_it_and_reported_where_partners_say_so():
    assert {entry.code for entry in COUNTRIES if entry.seller_flex == "known"} == {"IN", "AE"}
    assert {entry.code for entry in COUNTRIES if entry.seller_flex == "reported"} == {"SA"}
    assert all(entry.seller_flex_note for entry in COUNTRIES)


@pytest.mark.parametrize("word", ["GB", "UK", "uk", " United Kingdom ", "Great Britain"])
def test_a_country_is_found_by_code_name_or_alias(word):
    assert country(word).marketplace_id == "A1F83G8C2ARO7P"


def test_no_alias_names_two_countries():
    words = [word.casefold() for entry in COUNTRIES for word in {entry.code, entry.name, *entry.aliases}]
    assert len(words) == len(set(words))


def test_an_unknown_country_or_marketplace_is_named_in_the_error():
    with pytest.raises(UnknownCountry, match="Atlantis"):
        country("Atlantis")
    with pytest.raises(UnknownCountry, match="A0"):
        country_of_marketplace("A0")
    assert country_of_marketplace("A21TJRUUN4KGV").code == "IN"


def test_the_guides_words_are_the_reverse_of_amazons():
    assert lookup("ACCEPTED").guide_word == "Confirmed"
    assert lookup("CONFIRMED").guide_word == "Accepted"


def test_only_accepted_is_new_work_to_acknowledge():
    assert [entry.status for entry in STATUS_TABLE if entry.is_new] == ["ACCEPTED"]
    assert [entry.status for entry in STATUS_TABLE if entry.needs_acknowledgement] == ["ACCEPTED"]


def test_a_run_pulls_new_ones_whole_and_the_others_since_the_watermark():
    assert tuple(STATUSES)[1:] == PULLED_STATUSES  # all but CREATED, which is no work yet
    assert [lookup(status).pull for status in PULLED_STATUSES] == ["all", *["changed"] * (len(PULLED_STATUSES) - 1)]


def test_every_mapped_state_is_an_order_state_and_ranks_only_grow():
    states = {state.value for state in OrderState}
    assert {entry.order_state for entry in STATUS_TABLE} - {None} <= states
    ranks = [entry.rank for entry in STATUS_TABLE]
    assert ranks == sorted(set(ranks))


@pytest.mark.parametrize("status", ["TELEPORTED", "", None])
def test_an_unknown_status_is_no_exception(status):
    assert lookup(status) is UNKNOWN
    assert UNKNOWN.order_state is None


def test_an_error_says_what_support_needs():
    error = errors.StateConflict(
        "Amazon has this in another state by now", code="C1", status=409, request_id="r-1", operation="processShipment"
    )
    assert str(error) == "Amazon has this in another state by now (processShipment, HTTP 409, C1, request id r-1)"
    assert not error.is_retryable


def test_only_what_may_pass_by_itself_is_retryable():
    retryable = {errors.AmazonUnavailable, errors.RedisUnavailable, errors.Throttled, errors.UnreadableAnswer}
    retryable.add(errors.AddressExpired)
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.AmazonError)}
    assert {kind for kind in kinds if kind.is_retryable} == retryable
