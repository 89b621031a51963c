"""How one call to Amazon ended, in the words that people filter by."""

from flexdash.amazon.records import CallRecord
from flexdash.models import CallOutcome


def outcome_of(record: CallRecord) -> CallOutcome:
    """Return how the call ended."""
    if record.is_throttled:
        return CallOutcome.THROTTLED
    if record.status is None:
        return CallOutcome.NO_ANSWER
    if not record.error_code and not record.error_message:
        return CallOutcome.SUCCESS
    if record.is_refused_within:
        return CallOutcome.REFUSED
    # An answer 2xx with an error is one that nobody can read: cut off, or HTML in place of JSON.
    return CallOutcome.FAULT if record.status >= 500 or record.status < 400 else CallOutcome.REFUSED
