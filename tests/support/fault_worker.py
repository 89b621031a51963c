"""A real worker that can be told, through Redis, to die right after Amazon's answer to an acknowledgement.

`python -m tests.support.fault_worker sync`. Each answer that Amazon has given takes a word from the list FATES; at the
word "die" the work horse kills itself, before anything is committed, and leaves the key DIED.
"""

import os
import signal
import sys

from flexdash import create_app
from flexdash.extensions import db
from flexdash.jobs.worker import run_worker
from flexdash.services import acknowledgement

FATES, DIED = "tests:fates", "tests:died"


def main() -> None:
    """Serve the queues named as the first argument until killed."""
    app = create_app()
    redis = app.extensions["flexdash_redis"]
    confirm = acknowledgement._confirm

    def confirm_and_die(*arguments):
        answer = confirm(*arguments)
        if answer.error is None and redis.lpop(FATES) == b"die":
            redis.set(DIED, 1)
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    acknowledgement._confirm = confirm_and_die
    with app.app_context():
        db.session.remove()
    run_worker(app, sys.argv[1].split(","))


if __name__ == "__main__":
    main()
