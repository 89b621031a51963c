"""A real worker that can be told, through Redis, to die right after Amazon's answer to an acknowledgement.

`python -m tests.support.fault_worker sync`. While the key DIE_AFTER holds a number, each answer that Amazon has given
counts it down; at nought the work horse kills itself, before anything is committed, and leaves the key DIED.
"""

import os
import signal
import sys

from flexdash import create_app
from flexdash.extensions import db
from flexdash.jobs.worker import run_worker
from flexdash.services import acknowledgement

DIE_AFTER, DIED = "tests:die_after", "tests:died"


def main() -> None:
    """Serve the queues named as the first argument until killed."""
    app = create_app()
    redis = app.extensions["flexdash_redis"]
    confirm = acknowledgement._confirm

    def confirm_and_die(*arguments):
        answer = confirm(*arguments)
        if answer.error is None and redis.exists(DIE_AFTER) and redis.decr(DIE_AFTER) <= 0:
            redis.delete(DIE_AFTER)
            redis.set(DIED, 1)
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    acknowledgement._confirm = confirm_and_die
    with app.app_context():
        db.session.remove()
    run_worker(app, sys.argv[1].split(","))


if __name__ == "__main__":
    main()
