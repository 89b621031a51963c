"""A program for test_run_supervisor.py: supervises what its arguments say, and prints what becomes of it.

usage: python supervised.py NAME=SHELL_COMMAND …   (the part named `last` is stopped after the others)
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from flexdash.cli.run_supervisor import Part, PartEnded, StopRequested, Supervisor


def main() -> None:
    parts = dict(argument.split("=", 1) for argument in sys.argv[1:])
    supervisor = Supervisor(parts)
    try:
        try:
            for name, command in parts.items():
                supervisor.start(Part(name, ["sh", "-c", command], os.environ, Path.cwd()))
            print("all started", flush=True)
            supervisor.wait_until(lambda: False)
        finally:
            supervisor.stop(last="last")
    except StopRequested:
        print("stopped as asked", flush=True)
    except PartEnded as ended:
        print(f"{ended.name} ended with {ended.returncode}: {ended.last_lines}", flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
