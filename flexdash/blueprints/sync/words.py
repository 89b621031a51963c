"""Words the pages of sync runs use."""

from datetime import timedelta

from flexdash.models import AttemptOutcome, ItemFate, ItemOutcome, Sync, SyncRun

# Outcome: words, the badge's kind and icon.
ATTEMPT_WORDS = {
    AttemptOutcome.RUNNING: ("At work", "info", "sync"),
    AttemptOutcome.SUCCEEDED: ("Healthy", "good", "check"),
    AttemptOutcome.PARTIAL: ("Partial", "warn", "warning"),
    AttemptOutcome.FAILED: ("Failed", "bad", "danger"),
    AttemptOutcome.TO_RETRY: ("To be tried again", "warn", "warning"),
    AttemptOutcome.LOST: ("Worker lost", "warn", "warning"),
    AttemptOutcome.HANDED_BACK: ("Handed over", "quiet", "skip"),
    AttemptOutcome.SKIPPED: ("Waits for a person", "warn", "pause"),
}

# What became of a thing that is listed with its run: words, the badge's kind and icon.
OUTCOME_WORDS = {
    ItemOutcome.REFUSED: ("Refused", "bad", "danger"),
    ItemOutcome.SKIPPED: ("Left out", "quiet", "skip"),
}

# What became of an item: words, the badge's kind and icon.
FATE_WORDS = {
    ItemFate.CREATED: ("Came in", "good", "check"),
    ItemFate.HELD: ("On Hold", "warn", "pause"),
    ItemFate.UPDATED: ("Updated", "info", "sync"),
    ItemFate.UNCHANGED: ("Nothing new", "quiet", "skip"),
    ItemFate.NOT_TAKEN: ("Not taken in", "quiet", "skip"),
    ItemFate.ACKNOWLEDGED: ("Acknowledged", "good", "check"),
    ItemFate.SENT: ("Taken by Amazon", "good", "check"),
    ItemFate.TOLD: ("Told by Amazon", "good", "check"),
    ItemFate.APPLIED: ("Shown by Amazon", "good", "check"),
    ItemFate.UNDER_WAY: ("On its way", "info", "clock"),
    ItemFate.DONE: ("Done", "good", "check"),
    ItemFate.WAITS: ("Tried again", "warn", "clock"),
    ItemFate.DIFFERS: ("Differs", "warn", "warning"),
    ItemFate.REFUSED: ("Refused", "bad", "danger"),
    ItemFate.FAILED: ("Could not be taken in", "bad", "danger"),
    ItemFate.NO_ANSWER: ("No answer", "warn", "unlink"),
}

# What a run deals with, one and many; syncs that are not named deal with orders.
NOUNS = {
    Sync.INVENTORY_PUSH: ("SKU", "SKUs"),
    Sync.INVENTORY_FETCH: ("SKU", "SKUs"),
    Sync.PRICE_PUSH: ("SKU", "SKUs"),
    Sync.RETURN_PULL: ("return", "returns"),
    Sync.RECONCILE: ("item", "items"),
}

# What the page of a run counts: words, and the run's column. Syncs that are not named count as Order Sync does.
_FIGURES: dict[Sync, tuple[tuple[str, str], ...]] = {
    Sync.ORDER_PULL: (
        ("Fetched", "n_fetched"),
        ("New orders", "n_created"),
        ("On Hold", "n_held"),
        ("Updated", "n_updated"),
        ("Nothing to do", "n_skipped"),  # here and unchanged, or no work of a hub
        ("Failed", "n_failed"),
        ("Acknowledged", "n_acknowledged"),
    ),
    Sync.INVENTORY_PUSH: (
        ("Quantities looked at", "n_fetched"),
        ("Unchanged", "n_skipped"),
        ("Taken by Amazon", "n_updated"),
        ("Refused or unanswered", "n_failed"),
    ),
    Sync.INVENTORY_FETCH: (
        ("Quantities asked for", "n_fetched"),
        ("Told by Amazon", "n_updated"),
        ("Refused or unanswered", "n_failed"),
    ),
    Sync.ORDER_STEPS: (
        ("Steps tried", "n_fetched"),
        ("Done", "n_updated"),
        ("Not gone through", "n_failed"),
    ),
    Sync.PRICE_PUSH: (
        ("Prices looked at", "n_fetched"),
        ("Sent to Amazon", "n_updated"),
        ("Shown by Amazon", "n_acknowledged"),
        ("Still on their way", "n_skipped"),
        ("Refused or unanswered", "n_failed"),
    ),
    Sync.RETURN_PULL: (
        ("Fetched", "n_fetched"),
        ("New returns", "n_created"),
        ("Updated", "n_updated"),
        ("Already here", "n_skipped"),
        ("Failed", "n_failed"),
    ),
    Sync.RECONCILE: (
        ("Compared", "n_fetched"),
        ("New differences", "n_created"),
        ("Gone", "n_updated"),
    ),
}


def figures_of(run: SyncRun) -> list[tuple[str, int]]:
    """Return what the page of `run` counts, with the words of its sync."""
    return [(words, getattr(run, column)) for words, column in _FIGURES.get(run.sync, _FIGURES[Sync.ORDER_PULL])]


def brief_of(run: SyncRun) -> str:
    """Return what `run` counted in one line, without the zeros; "" when there is nothing to count."""
    return " · ".join(f"{words} {n:,}" for words, n in figures_of(run) if n)


def duration_words(duration: timedelta | None) -> str:
    """Return how long something took, as a person says it: "0.4 s", "12 s", "3 min 20 s", "2 h 5 min"."""
    if duration is None:
        return "–"
    seconds = max(0.0, duration.total_seconds())
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
