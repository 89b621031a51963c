"""Does what is next for one upload as a worker's process does, and prints how long that took and its largest size.

`python -m bench.csv_worker UPLOAD_ID`, with the settings in the environment.
"""

import json
import resource
import sys
import time

from flexdash import create_app
from flexdash.jobs import context, uploads


def main() -> None:
    """Do the job and print its figures as JSON."""
    context.use(create_app(has_pages=False))
    began = time.perf_counter()
    uploads.run(int(sys.argv[1]))
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


if __name__ == "__main__":
    main()
