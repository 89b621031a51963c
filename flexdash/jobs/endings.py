"""How a failed attempt ends: a code, plain words, and whether another try may help."""

from dataclasses import dataclass, replace
from datetime import timedelta

import redis
from rq.timeouts import JobTimeoutException
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from flexdash.amazon import errors as amazon
from flexdash.redaction import redacted_text
from flexdash.services.errors import ServiceError
from flexdash.vault import UnreadableSecret

FIRST_DELAY = timedelta(seconds=30)
LONGEST_DELAY = timedelta(minutes=15)


@dataclass(frozen=True)
class Ending:
    """`sentence` says what happened and what it means; what comes next is said by the runner, who knows.

    `detail` has what only the run's own page shows: Amazon's words, its code and the id of the request.
    """

    code: str
    sentence: str
    detail: str = ""
    may_pass: bool = False
    wait_at_least: timedelta = timedelta(0)
    is_expected: bool = True  # a defect of ours is not: its stack trace goes to the log
    is_waiting_for_person: bool = False  # the next run by the clock would fail the same way


def ending_of(error: Exception, reference: str) -> Ending:
    """Return how an attempt that raised `error` ends. `reference` leads from the page to the log."""
    if isinstance(error, amazon.RedisUnavailable | redis.RedisError):
        what = "Redis, which keeps Amazon's pace and access tokens, did not answer."
        return Ending("redis_unavailable", what, may_pass=True)
    if isinstance(error, amazon.AmazonError):
        return replace(_of_amazon(error), detail=_said(error))
    if isinstance(error, ServiceError):
        return Ending(type(error).__name__, error.sentence, is_waiting_for_person=True)
    if isinstance(error, UnreadableSecret):
        return Ending(
            "unreadable_secret",
            "FlexDash cannot read what it keeps encrypted for this store: the key that opens it is missing from "
            "ENCRYPTION_KEYS. No run can work until whoever runs FlexDash puts that key back. "
            "If the key is lost, re-authorize the store.",
            is_waiting_for_person=True,
        )
    if isinstance(error, JobTimeoutException):
        return Ending("timeout", "The run took longer than a run may take and was broken off.", may_pass=True)
    if isinstance(error, PoolTimeout) or (isinstance(error, DBAPIError) and not isinstance(error, ProgrammingError)):
        return _of_database(error)
    return Ending(
        "defect",
        "FlexDash ran into a fault of its own, so this run ended early. "
        f"Please tell whoever runs FlexDash; the log has the details under {reference}.",
        is_expected=False,
    )


def delay_before(attempt: int, ending: Ending, jitter: float) -> timedelta:
    """Return how long to wait after failed attempt number `attempt`; `jitter` from 0 to 1 spreads stores apart."""
    delay = min(FIRST_DELAY * 2 ** (attempt - 1), LONGEST_DELAY)
    return max(delay * (0.8 + 0.4 * jitter), ending.wait_at_least)


def _of_amazon(error: amazon.AmazonError) -> Ending:
    if isinstance(error, amazon.AuthorizationRefused):
        return Ending(
            "authorization_refused",
            "Amazon no longer accepts this store's authorization. Nothing more can be fetched or sent until a "
            "person re-authorizes the store on its page.",
            is_waiting_for_person=True,
        )
    if isinstance(error, amazon.AppCredentialsRefused):
        return Ending(
            "app_credentials_refused",
            "Amazon refused FlexDash's own app credentials. No store can sync until whoever runs FlexDash "
            "corrects AMAZON_CLIENT_ID and AMAZON_CLIENT_SECRET.",
            is_waiting_for_person=True,
        )
    if isinstance(error, amazon.TokenRefused):
        return Ending(
            "token_refused",
            "Amazon gave FlexDash no access token for this store, so nothing can be fetched or sent. It says nothing "
            "of any order, SKU or price. Whoever runs FlexDash has to look at what Amazon said; re-authorizing the "
            "store may help.",
            is_waiting_for_person=True,
        )
    if isinstance(error, amazon.Throttled):
        return Ending(
            "throttled",
            "Amazon asked FlexDash to slow down more often than it may within one run.",
            may_pass=True,
            wait_at_least=min(timedelta(seconds=error.retry_after_seconds), LONGEST_DELAY),
        )
    if isinstance(error, amazon.UnreadableAnswer):
        return Ending("unreadable_answer", "Amazon's answer could not be read.", may_pass=True)
    if isinstance(error, amazon.AccessDenied):
        return Ending(
            "access_denied",
            "Amazon does not let FlexDash do this for the store. The app may lack a role, or Amazon has not "
            "enabled Seller Flex's external fulfillment for the account; ask Amazon's support with the request id.",
            is_waiting_for_person=True,
        )
    if error.is_retryable:
        # Where the connection broke in the middle of an answer there is a status too, and a good one.
        is_fault = error.status is not None and error.status >= 500
        what = "had a fault of its own" if is_fault else "could not be reached, or did not answer"
        return Ending("amazon_unavailable", f"Amazon {what}.", may_pass=True)
    words = "Amazon refused a request of this run. Repeating it at once would change nothing."
    return Ending("refused_by_amazon", words)


def _of_database(error: Exception) -> Ending:
    text = _with_what_came_before(error)
    if "disk is full" in text or "no space left" in text:
        what = "The database's disk is full, so nothing could be written. Whoever runs FlexDash has to make room."
        return Ending("disk_full", what, may_pass=True)
    if isinstance(error, OperationalError) and ("locked" in text or "lock timeout" in text):
        return Ending("database_busy", "The database was busy for too long.", may_pass=True)
    return Ending(
        "database_unavailable", "The database did not do what it was asked.", may_pass=True, is_expected=False
    )


def _with_what_came_before(error: BaseException) -> str:
    """Return what the error says and what those say that it came after.

    SQLite may end the whole transaction when the disk is full: going back to a savepoint then fails in other words.
    """
    said = []
    shown: BaseException | None = error
    while shown is not None and len(said) < 10:
        said.append(str(shown).lower())
        shown = shown.__context__
    return " ".join(said)


def _said(error: amazon.AmazonError) -> str:
    """Return what Amazon said, without secrets, with its code, its HTTP status and the request id."""
    facts = [redacted_text(error.message).strip().rstrip(".")[:300], error.code]
    facts.append(f"HTTP {error.status}" if error.status else "")
    facts.append(f"request id {error.request_id}" if error.request_id else "")
    return "; ".join(dict.fromkeys(fact for fact in facts if fact))
