"""`python -m amazon_sandbox`: serves the sandbox until SIGINT or SIGTERM."""

import os
import signal
import sys
import threading

from amazon_sandbox import config
from amazon_sandbox.server import Program


def main() -> int:
    """Reads the settings, says where the sandbox is, and serves it."""
    try:
        settings = config.from_environment()
    except ValueError as error:
        sys.stderr.write(f"The Amazon sandbox cannot start: {error}\n")
        return 2
    address = settings.public_url or f"http://{settings.bind}:{settings.port}"
    sys.stdout.write(f"Amazon sandbox (a stand-in; nothing here is Amazon) on {address}, data in {settings.data_dir}\n")
    sys.stdout.flush()
    if settings.is_tied_to_stdin:
        threading.Thread(target=_stop_when_stdin_ends, daemon=True).start()
    Program(settings).run()
    return 0


def _stop_when_stdin_ends() -> None:
    while os.read(0, 1024):  # not sys.stdin, whose lock would be held when the program ends
        continue
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
