"""What pages say of a sync run beside what its row keeps."""

from markupsafe import Markup

from flexdash import clock
from flexdash.extensions import settings
from flexdash.models import SyncRun
from flexdash.templating.filters import local_time


def next_try(run: SyncRun | None) -> str:
    """Return when a run whose last attempt failed is tried again, in a sentence; "" for any other.

    Said as a time of day when the page is made: a span that was written down with the failure is wrong soon.
    """
    if run is None or not run.is_retrying:
        return ""
    which = f"attempt {run.n_attempts + 1} of {settings.run_max_attempts}"
    if run.retry_at is None or run.retry_at <= clock.now():
        return f"FlexDash tries again as soon as a worker takes it ({which})."
    return Markup("FlexDash tries again by itself at {} ({}).").format(local_time(run.retry_at, "clock"), which)
