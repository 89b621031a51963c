"""One access token for many threads and processes."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from flexdash.amazon import errors
from flexdash.amazon.lwa import LoginWithAmazon
from flexdash.amazon.tokens import AccessTokens
from tests.amazon.stub import GOOD_TOKEN, Give

PROJECT_DIR = Path(__file__).parents[2]
REFUSED = Give(400, {"error": "invalid_grant", "error_description": "The grant is gone"})


@pytest.fixture
def new_tokens(stub, http, redis_connection, cipher):
    def make(refresh_token="Atzr|seller", secret="client-secret", **changes):
        login = LoginWithAmazon(stub.lwa_url, "client-id", secret, http, timeout_seconds=5, sleep=lambda _: None)
        return AccessTokens(redis_connection, cipher, login, refresh_token, **changes)

    return make


def slow_token(seen):
    time.sleep(0.2)  # long enough for every other asker to find the lock taken
    return Give(200, GOOD_TOKEN)


def in_threads(n, work):
    barrier = threading.Barrier(n)

    def start(number):
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(start, range(n)))


def in_processes(redis_url, stub, n_processes, n_threads):
    command = [sys.executable, "-m", "tests.amazon.token_worker", redis_url, stub.lwa_url, str(n_threads)]
    processes = [
        subprocess.Popen(command, cwd=PROJECT_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(n_processes)
    ]
    try:
        assert [process.stdout.readline() for process in processes] == ["ready\n"] * n_processes
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        return [line for process in processes for line in process.communicate(timeout=60)[0].split()]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_twenty_threads_without_a_token_cause_one_token_call(new_tokens, stub):
    stub.token_answers = slow_token
    assert in_threads(20, lambda _: new_tokens().get()) == ["Atza|good"] * 20
    assert len(stub.token_calls) == 1


def test_three_processes_of_seven_threads_cause_one_token_call(stub, redis_connection, redis_server):
    stub.token_answers = slow_token
    assert in_processes(redis_server, stub, 3, 7) == ["Atza|good"] * 21
    assert len(stub.token_calls) == 1


def test_a_refused_refresh_token_is_asked_once_by_all_processes(stub, redis_connection, redis_server):
    stub.token_answers = [REFUSED]
    assert in_processes(redis_server, stub, 2, 5) == ["AuthorizationRefused"] * 10
    assert len(stub.token_calls) == 1


def test_twenty_threads_whose_token_amazon_refused_cause_one_token_call(new_tokens, stub):
    expired = new_tokens().get()
    stub.token_answers = lambda seen: Give(200, {**GOOD_TOKEN, "access_token": "Atza|fresh"})
    assert in_threads(20, lambda _: new_tokens().renew(expired)) == ["Atza|fresh"] * 20
    assert len(stub.token_calls) == 2


@pytest.mark.parametrize(
    ("code", "kind"), [("invalid_grant", errors.AuthorizationRefused), ("invalid_scope", errors.TokenRefused)]
)
def test_a_refused_token_is_refused_at_once_and_for_everybody(new_tokens, stub, code, kind):
    stub.token_answers = [Give(400, {"error": code, "error_description": "Words of Amazon"})]
    for _ in range(5):
        with pytest.raises(kind, match="Words of Amazon") as caught:
            new_tokens().get()
        assert (caught.value.code, caught.value.status) == (code, 400)
    assert len(stub.token_calls) == 1


def test_a_new_authorization_is_not_held_back_by_the_old_refusal(new_tokens, stub):
    stub.token_answers = [REFUSED, Give(200, GOOD_TOKEN)]
    with pytest.raises(errors.AuthorizationRefused):
        new_tokens("Atzr|old").get()
    assert new_tokens("Atzr|new").get() == "Atza|good"


def test_those_who_waited_share_a_fault_instead_of_repeating_it(new_tokens, stub):
    def slow_fault(seen):
        time.sleep(0.1)
        return Give(503, {"error": "server_error"})

    stub.token_answers = slow_fault

    def ask(_):
        with pytest.raises(errors.AmazonUnavailable):
            new_tokens().get()

    in_threads(8, ask)
    assert len(stub.token_calls) == 3, "one refresh with its two retries"


def test_the_token_is_in_redis_only_encrypted_and_not_longer_than_it_is_good(new_tokens, redis_connection):
    new_tokens().get()
    kept = {key: redis_connection.get(key) for key in redis_connection.keys("*")}
    assert kept
    for key, value in kept.items():
        assert b"Atz" not in key + value
        assert 0 < redis_connection.ttl(key) <= 3300, "renewed five minutes early"


def test_a_token_with_a_short_life_is_still_used(new_tokens, stub, redis_connection):
    stub.token_answers = [Give(200, {**GOOD_TOKEN, "expires_in": 20})]
    new_tokens().get()
    new_tokens().get()
    assert len(stub.token_calls) == 1
    assert max(redis_connection.pttl(key) for key in redis_connection.keys("*")) <= 18_000


def test_forget_fetches_anew(new_tokens, stub):
    tokens = new_tokens()
    tokens.get()
    tokens.forget()
    tokens.get()
    assert len(stub.token_calls) == 2


def test_a_token_no_key_opens_is_fetched_anew(new_tokens, stub, redis_connection):
    new_tokens().get()
    (key,) = redis_connection.keys("*:token")
    redis_connection.set(key, b"encrypted with a key that is gone")
    assert new_tokens().get() == "Atza|good"
    assert len(stub.token_calls) == 2


def test_a_dead_lock_holder_costs_only_the_locks_time(new_tokens, stub, redis_connection):
    tokens = new_tokens(lock_seconds=0.3)
    redis_connection.set(tokens._lock_key, "a process that was killed", px=300)
    assert tokens.get() == "Atza|good"
    assert len(stub.token_calls) == 1
    assert redis_connection.get(tokens._lock_key) is None


def test_a_lock_that_passed_to_someone_else_is_left_to_them(new_tokens, stub, redis_connection):
    tokens = new_tokens()

    def steal(seen):
        redis_connection.set(tokens._lock_key, "someone else")
        return Give(200, GOOD_TOKEN)

    stub.token_answers = steal
    tokens.get()
    assert redis_connection.get(tokens._lock_key) == b"someone else"


def test_a_lock_that_never_frees_ends_in_a_clear_error(new_tokens, redis_connection):
    tokens = new_tokens(lock_seconds=0.05)
    redis_connection.set(tokens._lock_key, "stuck for ever")
    with pytest.raises(errors.AmazonUnavailable, match="still being fetched"):
        tokens.get()


def test_another_refresh_token_in_the_answer_is_handed_on(new_tokens, stub):
    stub.token_answers = [Give(200, {**GOOD_TOKEN, "refresh_token": "Atzr|rotated"})]
    handed = []
    new_tokens(on_new_refresh_token=handed.append).get()
    assert handed == ["Atzr|rotated"]


def test_without_redis_nothing_is_sent(stub, http, cipher):
    away = redis.Redis(port=9, retry=Retry(NoBackoff(), 0))
    tokens = AccessTokens(away, cipher, LoginWithAmazon(stub.lwa_url, "i", "s", http), "Atzr|seller")
    for ask in (tokens.get, lambda: tokens.renew("Atza|x")):
        with pytest.raises(errors.AmazonUnavailable, match="Redis"):
            ask()
    assert stub.token_calls == []


def test_redis_is_asked_once_a_second_however_many_calls_are_made(new_tokens, stub, redis_connection, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("flexdash.amazon.tokens.time.monotonic", lambda: now[0])
    tokens = new_tokens()
    assert tokens.get() == "Atza|good"
    before = redis_connection.info("commandstats")["cmdstat_get"]["calls"]
    for _ in range(50):
        now[0] += 0.03
        assert tokens.get() == "Atza|good"
    assert redis_connection.info("commandstats")["cmdstat_get"]["calls"] - before <= 2
    assert len(stub.token_calls) == 1


def test_a_token_that_was_refused_is_not_handed_out_again_from_what_is_at_hand(new_tokens, stub):
    tokens = new_tokens()
    refused = tokens.get()
    stub.token_answers = [Give(200, {**GOOD_TOKEN, "access_token": "Atza|newer"})]
    assert tokens.renew(refused) == "Atza|newer"
    assert tokens.get() == "Atza|newer"


def test_a_refusal_of_the_app_itself_is_the_answer_of_every_store_until_it_is_mended(new_tokens, stub, http):
    refused = Give(401, {"error": "invalid_client", "error_description": "Client authentication failed"})
    stub.token_answers = lambda _: refused
    for refresh_token in ("Atzr|one", "Atzr|two", "Atzr|three"):
        with pytest.raises(errors.AppCredentialsRefused, match="client id and secret"):
            new_tokens(refresh_token).get()
    assert len(stub.token_calls) == 1
    stub.token_answers = lambda _: Give(200, GOOD_TOKEN)
    assert new_tokens("Atzr|two", secret="corrected").get() == "Atza|good"
