"""A real worker that can be told, through Redis, to die right after Amazon's answer to what it did there.

`python -m tests.support.fault_worker sync`. Each answer that Amazon has given to an acknowledgement, a patch of a
listing or a new feed takes a word from the list FATES; at the word "die" the work horse kills itself, before anything
is committed, and leaves the key DIED.

It asks Amazon at once, as the tests themselves do. The environment variables that `scaled_down` makes let few rows be
to it what many are to others.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from importlib import import_module

from flexdash import create_app
from flexdash.amazon.feeds import Feeds
from flexdash.amazon.listings import Listings
from flexdash.amazon.transport import Transport
from flexdash.extensions import db
from flexdash.jobs.worker import run_worker
from flexdash.services import acknowledgement
from flexdash.services.uploads.attempts import Attempt
from tests.support.pace import begin_soon

FATES, DIED = "tests:fates", "tests:died"
STEP_FATES = "tests:step_fates"
DIES_AFTER = "tests:dies_after"  # the name of the operation whose next answer is the last thing the work horse sees
STEP_OPERATIONS = {
    "getShipment",
    "createPackages",
    "retrieveShippingOptions",
    "generateInvoice",
    "retrieveInvoice",
    "generateShipLabels",
    "updatePackageStatus",
}
_LIMITS, _PAUSE = "TESTS_LIMITS", "TESTS_PAUSE"


def scaled_down(limits: Mapping[str, int], *, pause: float = 0) -> dict[str, str]:
    """Return the environment of a worker with other `limits`, each under the full name of FlexDash's constant.

    Within each transaction of an upload it pauses for `pause` seconds, so that a kill meets it at its work.
    """
    return {_LIMITS: json.dumps(dict(limits)), _PAUSE: str(pause)}


def _scale_down() -> None:
    for name, limit in json.loads(os.environ.get(_LIMITS, "{}")).items():
        module, _, constant = name.rpartition(".")
        names = vars(import_module(module))
        assert constant in names, name
        names[constant] = limit
    pause, check_in = float(os.environ.get(_PAUSE, "0")), Attempt.check_in

    def check_in_and_pause(*arguments, **values):
        check_in(*arguments, **values)
        time.sleep(pause)

    Attempt.check_in = check_in_and_pause


def main() -> None:
    """Serve the queues named as the first argument until killed."""
    _scale_down()
    begin_soon(setattr)
    app = create_app(has_pages=False)
    redis = app.extensions["flexdash_redis"]

    def deadly(call, is_answer=lambda _: True):
        def call_and_die(*arguments, **named):
            answer = call(*arguments, **named)
            if is_answer(answer) and redis.lpop(FATES) == b"die":
                redis.set(DIED, 1)
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return call_and_die

    acknowledgement._confirm = deadly(acknowledgement._confirm, lambda answer: answer.error is None)
    Listings.patch_offers = deadly(Listings.patch_offers)
    Feeds.create = deadly(Feeds.create)
    call = Transport.call

    def die() -> None:
        redis.set(DIED, 1)
        os.kill(os.getpid(), signal.SIGKILL)

    def call_and_die(transport, operation, *arguments, **named):
        fate = redis.lpop(STEP_FATES) if operation.name in STEP_OPERATIONS else None
        if fate == b"before":
            die()
        answer = call(transport, operation, *arguments, **named)
        if fate == b"after" or (redis.get(DIES_AFTER) == operation.name.encode() and redis.delete(DIES_AFTER)):
            die()
        return answer

    Transport.call = call_and_die
    with app.app_context():
        db.session.remove()
    run_worker(app, sys.argv[1].split(","))


if __name__ == "__main__":
    main()
