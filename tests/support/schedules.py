"""A schedule of some syncs only, for tests of what the schedule does with any of them."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from flexdash.jobs import schedule
from flexdash.models import Sync


@contextmanager
def scheduled(*syncs: Sync) -> Iterator[None]:
    """Let this process's dispatcher know the lines of `syncs` and no others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schedule, "SCHEDULE", tuple(schedule.of(sync) for sync in syncs))
        yield
