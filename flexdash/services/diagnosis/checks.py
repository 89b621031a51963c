"""The vocabulary of a diagnosis: steps in order, what each found, and the first that says why."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

Case = TypeVar("Case")


class Outcome(StrEnum):
    """What a check found. FAILED and ANSWERED end the diagnosis."""

    PASSED = "passed"
    NOTE = "note"  # not the cause, but something to see to
    FAILED = "failed"  # the cause
    ANSWERED = "answered"  # the answer, and nothing is wrong
    UNKNOWN = "unknown"  # it could not be looked at
    NOT_REACHED = "not_reached"  # an earlier check said why


ENDS = frozenset({Outcome.FAILED, Outcome.ANSWERED})


class FixKind(StrEnum):
    """Where the cause can be mended. The pages know the address of each, and who may go there."""

    CONNECT_STORE = "connect_store"
    RECONNECT = "reconnect"  # a store that was disconnected
    REAUTHORIZE = "reauthorize"
    TOGGLES = "toggles"
    LOG_ROW = "log_row"  # the row of the Configuration Log that says who changed it
    STOCK_RULES = "stock_rules"
    HUB_MAPPING = "hub_mapping"
    HUBS = "hubs"
    UPLOAD_CATALOG = "upload_catalog"
    LISTING = "listing"
    PRICE = "price"
    SEND_PRICE = "send_price"
    STOCK = "stock"
    INVENTORY = "inventory"
    ZEROS = "zeros"
    ORDER = "order"
    ORDERS = "orders"
    CANCEL_ORDER = "cancel_order"
    SEND_CANCELLATION = "send_cancellation"
    ACKNOWLEDGE = "acknowledge"
    RETRY_STEP = "retry_step"
    PACKAGES = "packages"
    INVOICES = "invoices"
    SELLER_CENTRAL = "seller_central"
    QUARANTINE = "quarantine"
    RUN = "run"
    SYNC_NOW = "sync_now"
    RECOVER = "recover"
    OTHER_STORE = "other_store"  # the same question about another store
    ASK_INSTEAD = "ask_instead"  # the same question about another id or SKU
    ORDER_MISSING = "order_missing"  # another question


@dataclass(frozen=True)
class Fix:
    """One thing to do. `values` are what its address needs; `name` is what it acts on, "" where that is plain."""

    kind: FixKind
    values: Mapping[str, object] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True)
class Finding:
    """What a check found, in a sentence. `moments` are times that belong to it, each with a label."""

    outcome: Outcome
    sentence: str
    fixes: tuple[Fix, ...] = ()
    moments: tuple[tuple[str, datetime], ...] = ()


@dataclass(frozen=True)
class Step(Generic[Case]):
    """One check of a question: what is asked, and the look at the case; None when it does not apply to the case."""

    name: str
    look: Callable[[Case], Finding | None]


@dataclass(frozen=True)
class Check:
    """A step with what it found; None when it was not reached."""

    name: str
    finding: Finding | None = None

    @property
    def outcome(self) -> Outcome:
        """How the check ended."""
        return self.finding.outcome if self.finding is not None else Outcome.NOT_REACHED


@dataclass(frozen=True)
class Diagnosis:
    """All checks of a question about one thing, in order. `subject` names the thing."""

    subject: str
    checks: tuple[Check, ...]

    @property
    def cause(self) -> Check:
        """The check that says why: the one that ended it, else the first that could not be looked at."""
        for outcomes in (ENDS, {Outcome.UNKNOWN}):
            for check in self.checks:
                if check.outcome in outcomes:
                    return check
        return self.checks[-1]

    @property
    def notes(self) -> tuple[Check, ...]:
        """What is to be seen to besides the cause, or could not be looked at."""
        cause = self.cause
        return tuple(
            check for check in self.checks if check is not cause and check.outcome in (Outcome.NOTE, Outcome.UNKNOWN)
        )


def diagnose(subject: str, steps: Sequence[Step[Case]], case: Case) -> Diagnosis:
    """Look at `case` step by step until one says why, and return all of them; the later ones are not reached."""
    checks: list[Check] = []
    is_over = False
    for step in steps:
        if is_over:
            checks.append(Check(step.name))
            continue
        finding = step.look(case)
        if finding is not None:
            checks.append(Check(step.name, finding))
            is_over = finding.outcome in ENDS
    return Diagnosis(subject, tuple(checks))


def passed(sentence: str, *fixes: Fix, moments: Sequence[tuple[str, datetime | None]] = ()) -> Finding:
    """Return that all is well here."""
    return Finding(Outcome.PASSED, sentence, fixes, _known(moments))


def note(sentence: str, *fixes: Fix, moments: Sequence[tuple[str, datetime | None]] = ()) -> Finding:
    """Return that something is to be seen to, which is not why."""
    return Finding(Outcome.NOTE, sentence, fixes, _known(moments))


def failed(sentence: str, *fixes: Fix, moments: Sequence[tuple[str, datetime | None]] = ()) -> Finding:
    """Return that this is why, with what mends it."""
    return Finding(Outcome.FAILED, sentence, fixes, _known(moments))


def answered(sentence: str, *fixes: Fix, moments: Sequence[tuple[str, datetime | None]] = ()) -> Finding:
    """Return that this is the answer, and that nothing is wrong."""
    return Finding(Outcome.ANSWERED, sentence, fixes, _known(moments))


def unknown(sentence: str, *fixes: Fix, moments: Sequence[tuple[str, datetime | None]] = ()) -> Finding:
    """Return that it could not be looked at; the checks after it go on."""
    return Finding(Outcome.UNKNOWN, sentence, fixes, _known(moments))


def _known(moments: Sequence[tuple[str, datetime | None]]) -> tuple[tuple[str, datetime], ...]:
    return tuple((label, moment) for label, moment in moments if moment is not None)
