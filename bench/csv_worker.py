"""Does what is next for one upload as a worker's process does, and prints how long that took and its largest size.

`python -m bench.csv_worker UPLOAD_ID`, with the settings in the environment.
"""

import json
import sys
import time
from pathlib import Path

from flexdash import create_app
from flexdash.jobs import context, uploads


def main() -> None:
    """Do the job and print its figures as JSON."""
    context.use(create_app(has_pages=False))
    began = time.perf_counter()
    uploads.run(int(sys.argv[1]))
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "megabytes": _largest_size()}))


def _largest_size() -> float:
    """Return the most memory that this process has held, in megabytes.

    The kernel's figure for getrusage() begins with the size of the process that started this one, the bench itself.
    """
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


if __name__ == "__main__":
    main()
