"""The one thing a worker does with an upload: whatever is next, until a person has to decide or all is done."""

from collections.abc import Callable

import structlog

from flexdash.models import UploadState
from flexdash.services.uploads import applying, attempts, checking, cleaning
from flexdash.services.uploads.attempts import Attempt

logger = structlog.get_logger(__name__)


def work(attempt: Attempt) -> None:
    """Check or apply the upload that `attempt` holds. Raises Superseded and HandBack."""
    if attempt.step is UploadState.CHECKING:
        checking.check(attempt)
    else:
        applying.apply(attempt)


def begin(upload_id: int, should_stop: Callable[[], bool] = lambda: False) -> Attempt | None:
    """Take the upload for this worker, or delete what it has left when it is over; None when there is no more to do."""
    attempt = attempts.claim(upload_id, should_stop)
    if attempt is None:
        cleaning.clean(upload_id)
    return attempt
