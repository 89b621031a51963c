"""Words the pages of sync runs use."""

from datetime import timedelta

from flexdash.models import AttemptOutcome

# Outcome: words, the badge's kind and icon.
ATTEMPT_WORDS = {
    AttemptOutcome.RUNNING: ("At work", "info", "sync"),
    AttemptOutcome.SUCCEEDED: ("Healthy", "good", "check"),
    AttemptOutcome.PARTIAL: ("Partial", "warn", "warning"),
    AttemptOutcome.FAILED: ("Failed", "bad", "danger"),
    AttemptOutcome.TO_RETRY: ("To be tried again", "warn", "warning"),
    AttemptOutcome.LOST: ("Worker lost", "warn", "warning"),
    AttemptOutcome.HANDED_BACK: ("Handed over", "quiet", "skip"),
}


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
