"""A program for test_run_supervisor.py: supervises what its arguments say, and prints what becomes of it.

usage: python -m tests.cli.supervised NAME=SHELL_COMMAND …   (the part named `last` is stopped after the others)
The supervisor's spans of patience can be set in the environment, so that nobody waits for the real ones.
"""

import os
import signal
import sys
from pathlib import Path

from flexdash.cli import run_supervisor
from flexdash.cli.run_supervisor import Part, PartEnded, StopRequested, Supervisor


def main() -> None:
    for name in ("_SECONDS_TO_FINISH", "_SECONDS_TO_BREAK_OFF", "_SECONDS_BETWEEN_SIGNALS"):
        if name in os.environ:
            setattr(run_supervisor, name, float(os.environ[name]))
    if "SIGNALS_EVERY" in os.environ:
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.001, float(os.environ["SIGNALS_EVERY"]))
    parts = dict(argument.split("=", 1) for argument in sys.argv[1:])
    supervisor = Supervisor(parts)
    try:
        try:
            for name, command in parts.items():
                supervisor.start(Part(name, ["sh", "-c", command], os.environ, Path.cwd()))
            print("all started", flush=True)
            n_looks = 0

            def look() -> bool:
                nonlocal n_looks
                n_looks += 1
                return False

            if "LOOKS_FOR" in os.environ:
                supervisor.wait_until(look, timeout=float(os.environ["LOOKS_FOR"]))
                print(f"looked {n_looks} times", flush=True)
                signal.setitimer(signal.ITIMER_REAL, 0)
            supervisor.wait_until(look)
        finally:
            supervisor.stop(last="last")
    except StopRequested:
        print("stopped as asked", flush=True)
    except PartEnded as ended:
        print(f"{ended.name} ended with {ended.returncode}: {ended.last_lines}", flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
