"""The log: structured, with ids on every line, and without a secret in any form."""

import io
import json
import logging
import time

import pytest
import structlog
from sqlalchemy.exc import IntegrityError

from config import load_settings
from flexdash import logs
from flexdash.redaction import MASK, redacted, redacted_text

CANARY = "canary0123456789"


@pytest.mark.parametrize(
    "text",
    [
        f"Atza|{CANARY}",
        f"token Atzr|IwEB{CANARY}/+x== refused",
        f"Authorization: Bearer {CANARY}",
        f"{{'Authorization': 'Basic {CANARY}='}}",
        f"authorization={CANARY}",
        f"x-amz-access-token: {CANARY}",
        f"GET /amazon/callback?state=1&spapi_oauth_code={CANARY}&selling_partner_id=A1",
        f'{{"refresh_token": "{CANARY}"}}',
        f'{{\\"refresh_token\\": \\"{CANARY}\\"}}',
        f"client_secret={CANARY}&grant_type=refresh_token",
        f"password='{CANARY} with blanks'",
        f"could not connect to postgresql://me:{CANARY}@host/name",
        f"redis://:{CANARY}@host:6379/0 is away",
        f"amzn1.oa2-cs.v1.{CANARY}",
        f"stored as gAAAAABm{CANARY}{CANARY}",
        f"mail to {CANARY}@marketplace.amazon.in bounced",
        f"(sqlite3.IntegrityError) failed\n[SQL: INSERT …]\n[parameters: ('{CANARY}', 1)]\n(Background …)",
    ],
)
def test_a_secret_inside_a_text_is_masked(text):
    assert CANARY not in redacted_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "Amazon refused the token: invalid_grant",
        "order 402-1234567-8901234 went to hub PN01",
        "GET /orders?state=picked&page=2",
        "secretary left a note",
    ],
)
def test_ordinary_sentences_stay_as_they_are(text):
    assert redacted_text(text) == text


def test_values_are_masked_by_the_name_they_stand_under_at_any_depth():
    event = {
        "order_id": "402-1",
        "n_tokens": 3,
        "has_password": True,
        "api_token": CANARY,
        "payload": {"buyerInfo": {"name": CANARY}, "lines": [{"sku": "A", "recipient_name": CANARY}]},
        "raw": CANARY.encode(),
    }
    clean = redacted(event)
    assert CANARY not in str(clean)
    assert (clean["order_id"], clean["n_tokens"], clean["has_password"]) == ("402-1", 3, True)
    assert clean["payload"]["lines"][0]["sku"] == "A"


def test_a_line_carries_the_ids_bound_for_its_request_or_run(log_lines):
    lines = log_lines()
    with structlog.contextvars.bound_contextvars(run_id=7, store_id=3):
        structlog.get_logger("flexdash.jobs").info("run began", n_shipments=2)
    structlog.get_logger("flexdash.jobs").info("idle")
    first, second = lines()
    assert (first["message"], first["run_id"], first["store_id"], first["n_shipments"]) == (
        "run began",
        7,
        3,
        2,
    )
    assert first["timestamp"].endswith("Z")
    assert "run_id" not in second


def test_secrets_are_masked_in_our_lines_in_library_lines_and_in_tracebacks(log_lines):
    lines = log_lines(secret_key=CANARY)
    structlog.get_logger("flexdash").info("signed with " + CANARY, refresh_token=CANARY)
    logging.getLogger("somelibrary").warning("key is %s", CANARY)
    try:
        raise ValueError(f"bad key {CANARY}")
    except ValueError:
        structlog.get_logger("flexdash").exception("run failed")
        logging.getLogger("somelibrary").exception("failed")
    found = lines()
    assert len(found) == 4
    assert CANARY not in json.dumps(found)
    assert f"ValueError: bad key {MASK}" in found[2]["exception"]
    assert f"ValueError: bad key {MASK}" in found[3]["exception"]


@pytest.mark.parametrize(
    ("setting", "address"),
    [
        ("database_url", "postgresql://flexdash:{}@db/flexdash"),
        ("redis_url", "redis://:{}@cache:6379/0"),
        ("smtp_url", "smtp://flexdash:{}@mail:587"),
    ],
)
def test_passwords_of_database_redis_and_mail_server_are_masked_alone_too(log_lines, setting, address):
    values = {setting: address.format("cAn%40ary-word"), "mail_from": "flexdash@example.com"}
    lines = log_lines(**values)
    structlog.get_logger("flexdash").info("it refused cAn@ary-word, which is cAn%40ary-word")
    assert lines()[0]["message"] == f"it refused {MASK}, which is {MASK}"


@pytest.mark.parametrize("password", ["cAnary#word", "cAnary/word", "cAnary?word", "cAnary[word"])
def test_a_password_may_have_any_sign_that_the_database_takes(log_lines, password):
    lines = log_lines(database_url=f"postgresql://flexdash:{password}@db/flexdash")
    structlog.get_logger("flexdash").info(f"it refused {password}")
    assert lines()[0]["message"] == f"it refused {MASK}"


def test_a_password_that_is_the_users_name_does_not_blot_out_the_log(log_lines):
    lines = log_lines(database_url="postgresql://flexdash:flexdash@db/flexdash")
    structlog.get_logger("flexdash").info("flexdash has begun")
    assert lines()[0]["message"] == "flexdash has begun"


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_the_values_a_database_quotes_in_its_errors_stay_out_of_tracebacks(log_lines, log_format):
    log_lines()
    stream = io.StringIO()
    logs.configure(load_settings({}, log_format=log_format), stream)
    row = f"(sqlite3.IntegrityError) failed\nDETAIL:  Failing row contains (1, {CANARY}).\n"
    for error in (
        IntegrityError("INSERT INTO users (name) VALUES (?)", (CANARY,), Exception("NOT NULL constraint failed")),
        ValueError(row),
    ):
        try:
            raise error
        except type(error):
            structlog.get_logger("flexdash").exception("page failed")
    written = stream.getvalue()
    assert "[parameters hidden]" in written
    assert CANARY not in written


def test_chatty_libraries_speak_only_from_warnings_up(log_lines):
    lines = log_lines(log_level="DEBUG")
    for name in ("httpx", "httpcore.connection", "rq.worker"):
        logging.getLogger(name).info("GET https://example.com/?code=1")
        logging.getLogger(name).warning("something is wrong")
    assert [line["level"] for line in lines()] == ["warning"] * 3


def test_lines_below_the_level_are_left_out(log_lines):
    lines = log_lines(log_level="WARNING")
    structlog.get_logger("flexdash").info("small talk")
    structlog.get_logger("flexdash").warning("look here")
    assert [line["message"] for line in lines()] == ["look here"]


def test_the_console_form_is_one_readable_line(log_lines):
    stream = io.StringIO()
    log_lines()
    logs.configure(load_settings({}), stream)
    structlog.get_logger("flexdash.jobs").info("run began", run_id=7)
    (line,) = stream.getvalue().splitlines()
    assert "run began" in line
    assert "run_id=7" in line
    assert "\x1b" not in line


def test_a_terminal_shows_what_a_stranger_wrote_and_carries_none_of_it_out(client, log_lines):
    stream = io.StringIO()
    log_lines()
    logs.configure(load_settings({}), stream)
    client.get("/zzz%1b%5b2J%9b%00%e2%80%ae")
    (line,) = [line for line in stream.getvalue().splitlines() if "/zzz" in line]
    assert r"path=/zzz\x1b[2J" in line
    assert all(character.isprintable() for character in line)


@pytest.mark.parametrize("piece", ["a_", "token ", "a_token:", "://a:", "a@a.", "bearer ", "authorization :", 'token"'])
def test_a_long_line_of_a_stranger_costs_no_time(piece):
    """By the square of its length, 100,000 characters would take minutes."""
    began = time.process_time()
    redacted_text(piece * (100_000 // len(piece)))
    assert time.process_time() - began < 5


def test_each_request_has_an_id_on_its_line_and_in_its_answer(client, log_lines):
    lines = log_lines()
    answer = client.get("/sign-in?next=/orders", headers={"X-Request-Id": "from-the-proxy-1"})
    assert answer.headers["X-Request-Id"] == "from-the-proxy-1"
    (line,) = [line for line in lines() if line["message"] == "request"]
    assert line["request_id"] == "from-the-proxy-1"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/sign-in", 200)
    assert line["duration_ms"] >= 0


def test_an_id_that_is_no_id_is_replaced(client, log_lines):
    log_lines()
    answer = client.get("/sign-in", headers={"X-Request-Id": "<svg onload=alert(1)>"})
    assert len(answer.headers["X-Request-Id"]) == 16


def test_health_checks_do_not_fill_the_log(client, log_lines):
    lines = log_lines()
    client.get("/healthz")
    assert lines() == []
