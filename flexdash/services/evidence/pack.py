"""What every evidence pack is made of: files of words, tables and facts, redacted, in one ZIP."""

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from flexdash import clock
from flexdash.models import ApiCall, Store, SyncRun
from flexdash.redaction import MASK, redacted_text
from flexdash.services import csv_export
from flexdash.services.actors import Actor
from flexdash.services.syncs import FACTS

MOST_ROWS = 2_000  # of a table; the README says where a table was cut
# Columns and facts in words, where somebody may have written of the buyer. All others are ids, states, times and
# numbers: taking a part out of them would spoil what a case with Amazon needs, and tell by the gap what the buyer's
# data is.
_IN_WORDS = frozenset(
    {
        "acknowledgement_message",
        "answered",
        "cancellation_message",
        "detail",
        "error",
        "error_message",
        "in_words",
        "note",
        "price_message",
        "sent",
        "sentence",
        "what",
        "words",
    }
)
# As people write them, landlines too; no id of Amazon's looks so.
_TELEPHONE = re.compile(r"\+\d[\d ()-]{7,}\d|\b\d{5}[ -]?\d{5}\b|\b0\d{2,4}[ -]?\d{3,4}[ -]?\d{3,4}\b")
CALL_HEADINGS = (
    "started_at",
    "operation",
    "method",
    "path",
    "outcome",
    "http_status",
    "amazon_request_id",
    "amazon_shipment_id",
    "duration_ms",
    "waited_ms",
    "attempt",
    "error_code",
    "error_message",
    "sent",
    "answered",
    "sync_run",
)
RUN_HEADINGS = ("sync_run", "sync", "trigger", "state", "queued_at", "started_at", "finished_at", "attempts", "error")
OUTCOME_HEADINGS = ("at", "sync_run", "outcome", "item", "also", "seller_flex_hub_id", "words", "amazon_request_id")
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Pack:
    """A finished pack: what it is about, for the access log, the name of its file, and its bytes."""

    what: str
    file_name: str
    content: bytes


@dataclass
class Contents:
    """A pack under way. `mask` takes out of its sentences what must stand nowhere in it: what is known of the buyer."""

    mask: Callable[[str], str] = str
    _files: dict[str, str] = field(default_factory=dict)
    _cut: list[str] = field(default_factory=list)

    def table(self, name: str, headings: Iterable[str], rows: Sequence[Iterable[Any]]) -> None:
        """Add a CSV file, which a spreadsheet opens without running any of it; oldest first.

        `rows` come newest first, and the newest MOST_ROWS stay; where there are more, the README says so.
        """
        if len(rows) > MOST_ROWS:
            self._cut.append(f"{name} has the newest {MOST_ROWS:,} rows; there are more.")
        names = tuple(headings)
        kept = reversed(rows[:MOST_ROWS])
        shown = ([self._cell(cell, name) for cell, name in zip(row, names, strict=True)] for row in kept)
        self._files[name] = "".join(csv_export.lines(names, shown))

    def facts(self, name: str, values: Mapping[str, Any]) -> None:
        """Add a JSON file."""
        self._files[name] = json.dumps(self._clean(values), indent=2, ensure_ascii=False) + "\n"

    def finish(self, actor: Actor, subject: str, store_lines: Sequence[str], file_stem: str) -> Pack:
        """Add the README and return the pack."""
        now = clock.now()
        self._files = {"README.txt": self._readme(actor, subject, store_lines, now), **self._files}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self._files.items():
                archive.writestr(name, content)
        stem = _NOT_IN_A_NAME.sub("-", file_stem).strip("-.")[:80] or "item"
        return Pack(f"the e{subject[1:]}", f"evidence-{stem}-{now:%Y-%m-%d}.zip", buffer.getvalue())

    def _readme(self, actor: Actor, subject: str, store_lines: Sequence[str], now: datetime) -> str:
        names = "\n".join(f"  {name}: {_MEANINGS[name]}" for name in self._files)
        cut = "\n".join(["", *self._cut]) + "\n" if self._cut else ""
        lines = "\n".join(self._cell(line) for line in store_lines)
        return (
            f"{self._cell(subject)}\n\n"
            f"Put together by {self._cell(actor.name)} with FlexDash on {moment(now)}.\n{lines}\n\n"
            "For a case with Amazon: name the request ids in calls.csv, column amazon_request_id, with their times. "
            "With those Amazon's support finds what it did.\n\n"
            f"{names}\n{cut}\n"
            "All times are in UTC. What may be a buyer's data, a token or a secret is left out, or stands as [hidden]. "
            "Calls to Amazon, and what became of single items in each run, are kept for a set time only: what is older "
            "is not here.\n"
        )

    def _cell(self, value: Any, name: str = "") -> Any:
        if value is None:
            return ""
        if isinstance(value, datetime):
            return moment(value)
        if isinstance(value, str):  # words of an enumeration too
            return self._words(str(value)) if name in _IN_WORDS else redacted_text(str(value))
        return value

    def _words(self, text: str) -> str:
        return _TELEPHONE.sub(MASK, redacted_text(self.mask(text)))

    def _clean(self, value: Any, name: str = "") -> Any:
        if isinstance(value, Mapping):
            return {str(key): self._clean(member, str(key)) for key, member in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(member, name) for member in value]
        if isinstance(value, Decimal):
            return f"{value:f}"
        return value if value is None else self._cell(value, name)


_MEANINGS = {
    "timeline.csv": "what happened to it, in words, oldest first",
    "calls.csv": "the calls to Amazon about it, and the lists that brought it, with Amazon's request ids",
    "quarantine.csv": "what Amazon sent of it and could not be read, and why",
    "runs.csv": "the sync runs that had to do with it",
    "outcomes.csv": "what each of those runs did with it",
    "steps.csv": "what was to be done at Amazon for it, and how that ended",
    "orders.csv": "the newest orders with this SKU",
    "state.json": "how it stands now",
}


def moment(value: datetime) -> str:
    """Return a time as it stands in a pack: in UTC, to the second, with its zone."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def call_row(call: ApiCall) -> list[Any]:
    """Return the row of calls.csv."""
    return [
        call.started_at,
        call.operation,
        call.method,
        call.path,
        call.outcome.value,
        call.status,
        call.amazon_request_id,
        call.amazon_shipment_id,
        call.duration_ms,
        call.waited_ms,
        call.attempt,
        call.error_code,
        call.error_message,
        call.sent,
        call.answered,
        call.run_id,
    ]


def run_row(run: SyncRun) -> list[Any]:
    """Return the row of runs.csv."""
    label = FACTS[run.sync].label
    moments = [run.queued_at, run.started_at, run.finished_at]
    said = f"{run.error_sentence} ({run.error_detail})" if run.error_detail else run.error_sentence
    return [run.id, label, run.trigger.value, run.state.value, *moments, run.n_attempts, said]


def outcome_row(kept: Any) -> list[Any]:
    """Return the row of outcomes.csv."""
    item = kept.item
    return [kept.at, kept.run_id, item.fate.value, item.name, item.also, item.place, item.words, item.request_id]


def store_lines(store: Store) -> list[str]:
    """Return what the README says of a store, so that Amazon finds the account."""
    return [
        f"Store: {store.name} ({store.country_code}), marketplace {store.marketplace_id}",
        f"Amazon's id of the selling partner: {store.amazon_selling_partner_id or 'not connected'}",
    ]
