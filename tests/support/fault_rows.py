"""The fault table: what each row expects, and which tests hold it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One fault. `tests` are names of tests that hold it without handing in a figure."""

    fault: str
    expected: str
    tests: tuple[str, ...] = ()


ROWS = {
    "kills": Row("kill -9 of the worker in a 5,000-shipment pull", "50 kills: 0 lost, 0 doubled"),
    "recovery": Row("the same, with the real signs of life and schedule", "taken up again, p95 < 120 s"),
    "acknowledge": Row("killed or cut between Amazon's 204 and our commit", "200 runs: 0 double effects, 0 stuck"),
    "steps": Row("kill -9 around every call of the shipment steps", "one package, one label each, 0 stuck"),
    "cancel_label": Row("the same at a cancellation and at a label", "200 runs: 0 double effects, 0 stuck"),
    "redis": Row("Redis away and wiped", "20 outages: 0 lost runs"),
    "redis_minute": Row("Redis away for 60 s in real time", "pages read with a banner, next tick on time"),
    "schedulers": Row(
        "two schedulers, restarted, away for 3 h",
        "0 doubled, 0 missed",
        ("test_schedule_faults.py",),
    ),
    "pace": Row("a pull of 10,000 calls under Amazon's plan", "< 1 % 429, 0 lost"),
    "storm": Row("429, 503, time-outs, cuts, HTML for JSON without end", "bounded, a clear failed run, 0 lost"),
    "mixed": Row("all of these at random through one pull", "0 lost, 0 double effects"),
    "paging": Row("empty, repeated, endless pages; orders changing meanwhile", "0 missed of 5,000"),
    "refused": Row("refused token", "0 further calls"),
    "stock_order": Row("pushes ending out of order, overtaken and killed", "10,000 interleavings: 0 stale"),
    "stock_kills": Row("kill -9 in the middle of a push", "50 kills: every number equal, none stuck"),
    "stock_storm": Row("the same storms in the middle of a push", "bounded, a clear failed run, the rest comes"),
    "stock_mixed": Row("all of these at random through one push", "every number equal"),
    "stock_pace": Row("a push under a plan below the configured pace", "< 1 % 429"),
    "uploads": Row("kill -9 of the worker that checks or applies a file", "40 kills: 0 rows lost, 0 doubled"),
    "unlogged": Row("death between a change and its log row", "500 kills: 0 unlogged"),
    "appends": Row("concurrent log appends, 8 × 1,000", "0 forks", ("test_eight_writers",)),
    "mutations": Row("the log edited, cut, reordered", "1,000 mutations: all found", ("test_a_thousand_mutations",)),
    "oversold": Row("two workers racing for a seller's last units", "0 oversold, 0 moved twice, ledger = levels"),
    "stories": Row("orders, cancellations, edits, uploads in any order", "400 stories: ledger = levels"),
    "locked": Row("database locked by another", "says so, recovers, 0 corrupt rows"),
    "full": Row("disk full", "fails closed, says so, recovers, 0 corrupt rows"),
}


def lines(measured: Mapping[str, list[str]], outcomes: Mapping[str, str]) -> Iterator[str]:
    """Yield the rows: the fault, what is expected, and what `measured` or the tests' `outcomes` say, a line each."""
    width = max(len(row.fault) for row in ROWS.values())
    expected_width = max(len(row.expected) for row in ROWS.values())
    for key, row in ROWS.items():
        said = measured.get(key) or [_outcome(row, outcomes)]
        yield f"{row.fault:<{width}}  {row.expected:<{expected_width}}  {said[0]}"
        for further in said[1:]:
            yield f"{'':<{width}}  {'':<{expected_width}}  {further}"


def _outcome(row: Row, outcomes: Mapping[str, str]) -> str:
    found = [outcome for nodeid, outcome in outcomes.items() if any(name in nodeid for name in row.tests)]
    if not found:
        return "not measured in this run"
    n_failed = sum(outcome != "passed" for outcome in found)
    return f"FAILED: {n_failed} of {len(found)} tests" if n_failed else f"held ({len(found)} tests)"
