"""Being asked to stop: a work horse that gets SIGTERM ends its run at the next good moment, or soon in any case."""

import os

GRACE_SECONDS = 2.5  # `make run` asks again after four seconds, and that kills

# Plain flags, no threading.Event: a signal handler that waited for the event's lock could wait for itself.
_is_asked = False
_is_horse = False


def become_horse() -> None:
    """Note that this process does one job and may end itself."""
    global _is_asked, _is_horse
    _is_asked, _is_horse = False, True


def ask(*_signal: object) -> None:
    """Ask the job of this process to stop; a signal handler."""
    global _is_asked
    _is_asked = True


def forget() -> None:
    """Take the wish to stop back."""
    global _is_asked
    _is_asked = False


def is_asked() -> bool:
    """Say whether the job should end at the next good moment."""
    return _is_asked


def end_process() -> None:
    """End a work horse on the spot, as if it had been killed; elsewhere do nothing."""
    if _is_horse:
        os._exit(0)
