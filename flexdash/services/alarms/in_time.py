"""An end to talking with a server that answers, but never comes to an end."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def in_time(seconds: float, its_socket: Callable[[], socket.socket | None]) -> Iterator[None]:
    """Run the block; after `seconds` the socket that it talks over is shut down, so that it fails with TimeoutError.

    Time-outs of a socket count from its last byte: a server that sends one now and then would hold us for ever.
    """
    is_late = threading.Event()

    def end() -> None:
        is_late.set()
        with suppress(OSError):
            if (talking := its_socket()) is not None:
                talking.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if is_late.is_set():
            raise TimeoutError("took too long") from error
        raise
    finally:
        timer.cancel()
