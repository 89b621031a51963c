"""The state that goes to Amazon and back: random, single use, short-lived, and nobody else's."""

import re
import threading
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import AuthorizationAttempt, UserSession
from flexdash.services import authorization, sign_in, stores
from flexdash.services.authorization import Outcome, ReturnRefused
from tests.factories import PASSWORD, make_actor, make_seller, make_store, make_user, make_workspace, number


@pytest.fixture
def workspace(app):
    return make_workspace()


@pytest.fixture
def asha(workspace):
    return make_user(workspace, name="Asha")


@pytest.fixture
def store(workspace):
    return make_store(make_seller(workspace), "draft", name="Pune Store")


def session_of(user) -> int:
    row = UserSession(user_id=user.id, token_hash=f"hash-{number()}", expires_at=clock.now() + timedelta(hours=12))
    db.session.add(row)
    db.session.commit()
    return row.id


def begin(user, session_id, store) -> tuple[str, str]:
    actor = make_actor(user)
    with transaction():
        return authorization.add(actor, session_id, store)


def refusal_of(user, session_id, state) -> ReturnRefused:
    with pytest.raises(ReturnRefused) as refused:
        authorization.claim(make_actor(user), session_id, state)
    return refused.value


def test_the_state_is_32_random_bytes_and_only_its_hash_is_kept(asha, store) -> None:
    session_id = session_of(asha)
    states = {begin(asha, session_id, store)[0] for _ in range(20)}
    assert len(states) == 20
    assert all(re.fullmatch(r"[\w-]{43}", state) for state in states)
    kept = db.session.scalars(select(AuthorizationAttempt)).all()
    for attempt in kept:
        assert not any(state in str(vars(attempt)) for state in states)
        assert re.fullmatch(r"[0-9a-f]{64}", attempt.state_hash)
        assert attempt.expires_at - attempt.created_at == authorization.STATE_LIFETIME


def test_a_state_is_good_once(asha, store) -> None:
    session_id = session_of(asha)
    state, reference = begin(asha, session_id, store)
    claim = authorization.claim(make_actor(asha), session_id, state)
    assert (claim.store_id, claim.reference) == (store.id, reference)
    again = refusal_of(asha, session_id, state)
    assert (again.outcome, again.reference, again.store_id) == (Outcome.STATE_USED, reference, store.id)


def test_of_many_at_once_one_claims_the_state(app, asha, store) -> None:
    session_id = session_of(asha)
    state, _ = begin(asha, session_id, store)
    actor = make_actor(asha)
    gate, outcomes = threading.Barrier(8), []

    def try_it() -> None:
        with app.app_context():
            gate.wait()
            try:
                authorization.claim(actor, session_id, state)
                outcomes.append("claimed")
            except ReturnRefused as refusal:
                outcomes.append(refusal.outcome.value)

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["claimed"] + ["state_used"] * 7


def test_missing_and_unknown_states_are_told_apart(asha, store) -> None:
    session_id = session_of(asha)
    begin(asha, session_id, store)
    assert refusal_of(asha, session_id, "").outcome is Outcome.STATE_MISSING
    unknown = refusal_of(asha, session_id, "not-a-state-of-ours")
    assert (unknown.outcome, unknown.store_id) == (Outcome.STATE_UNKNOWN, None)
    assert authorization.is_reference(unknown.reference)


def test_a_state_lives_a_quarter_of_an_hour(asha, store) -> None:
    session_id = session_of(asha)
    with time_machine.travel(clock.now(), tick=False) as traveller:
        early, _ = begin(asha, session_id, store)
        late, _ = begin(asha, session_id, store)
        traveller.shift(timedelta(minutes=14, seconds=59))
        authorization.claim(make_actor(asha), session_id, early)
        traveller.shift(timedelta(seconds=1))
        assert refusal_of(asha, session_id, late).outcome is Outcome.STATE_EXPIRED


def test_another_person_cannot_use_it_and_does_not_spoil_it(workspace, asha, store) -> None:
    session_id = session_of(asha)
    state, reference = begin(asha, session_id, store)
    ravi = make_user(workspace, name="Ravi")
    stranger = make_user(make_workspace())
    for other in (ravi, stranger):
        refusal = refusal_of(other, session_of(other), state)
        assert (refusal.outcome, refusal.store_id) == (Outcome.OTHER_USER, None)
        assert refusal.reference != reference  # the owner's reference stays the owner's
    assert authorization.claim(make_actor(asha), session_id, state).store_id == store.id


def test_another_browser_session_of_the_same_person_cannot_use_it(asha, store) -> None:
    session_id = session_of(asha)
    state, reference = begin(asha, session_id, store)
    for other in (session_of(asha), None):
        refusal = refusal_of(asha, other, state)
        assert (refusal.outcome, refusal.reference) == (Outcome.OTHER_SESSION, reference)
    assert authorization.claim(make_actor(asha), session_id, state).store_id == store.id


def test_a_trip_tells_how_it_went(asha, store) -> None:
    session_id, actor = session_of(asha), make_actor(asha)
    with time_machine.travel(clock.now(), tick=False) as traveller:
        state, reference = begin(asha, session_id, store)
        open_trip = authorization.find_trip(actor, reference)
        assert (open_trip.outcome, open_trip.is_over) == (Outcome.STATE_EXPIRED, False)
        claim = authorization.claim(actor, session_id, state)
        assert authorization.find_trip(actor, reference).outcome is Outcome.BEING_HANDLED
        traveller.shift(authorization.HANDLING_TIME)
        assert authorization.find_trip(actor, reference).outcome is Outcome.INTERRUPTED
        with transaction():
            authorization.set_outcome(claim.attempt_id, Outcome.DENIED)
        assert authorization.find_trip(actor, reference).outcome is Outcome.DENIED


def test_nobody_reads_the_trips_of_others(workspace, asha, store) -> None:
    state, reference = begin(asha, session_of(asha), store)
    ravi = make_actor(make_user(workspace))
    assert authorization.find_trip(ravi, reference) is None
    assert authorization.latest_store(ravi) is None
    assert authorization.latest_store(make_actor(asha)).id == store.id
    assert authorization.reference_of(state) == reference
    assert authorization.reference_of("unknown") != reference


def test_references_are_easy_to_read_out() -> None:
    references = {authorization.new_reference() for _ in range(200)}
    assert len(references) == 200
    assert all(authorization.is_reference(one) for one in references)
    assert not any(letter in "".join(references) for letter in "01OIL")
    assert not any(authorization.is_reference(text) for text in ("", "ABCD-EFG", "<b>2-3456", "abcd-efgh"))


def test_withdrawing_ends_open_trips_only(workspace, asha, store) -> None:
    session_id, actor = session_of(asha), make_actor(asha)
    other = make_store(make_seller(workspace), "draft")
    state, _ = begin(asha, session_id, store)
    kept, _ = begin(asha, session_id, other)
    with transaction():
        authorization.withdraw(store)
    assert refusal_of(asha, session_id, state).outcome is Outcome.WITHDRAWN
    assert authorization.claim(actor, session_id, kept).store_id == other.id
    assert db.session.scalar(select(func.count()).where(AuthorizationAttempt.outcome == "withdrawn")) == 1


def test_trips_of_discarded_drafts_and_their_sessions_are_forgotten_in_time(workspace, asha, store) -> None:
    old_id, kept_id = session_of(asha), session_of(asha)
    begin(asha, old_id, store)
    _, kept = begin(asha, kept_id, make_store(make_seller(workspace)))
    stores.discard_draft(make_actor(asha), store.id)

    def left_after(**days: int) -> tuple[list[str | None], set[int]]:
        with time_machine.travel(clock.now() + timedelta(**days), tick=False):
            sign_in.begin(asha.email, PASSWORD)
        sessions = set(db.session.scalars(select(UserSession.id))) & {old_id, kept_id}
        return list(db.session.scalars(select(AuthorizationAttempt.reference))), sessions

    references, sessions = left_after(days=29)
    assert (len(references), sessions) == (2, {old_id, kept_id})
    assert left_after(days=31) == ([kept], {kept_id})
