"""The watcher process: looks around for what is wrong or absent, and sends what people are to be told.

It is a process of its own, because the absence of workers, of the scheduler or of Redis has to be noticed exactly when
these are away; it needs the database alone. Sending has threads of its own: a mail server that hangs holds up neither
the looking nor, ever, a sync.
"""

import signal
import threading
import time
from collections.abc import Callable

import redis
import structlog
from flask import Flask

from flexdash.extensions import db
from flexdash.jobs import presence
from flexdash.jobs.schedule import QUEUES
from flexdash.logs import with_present_ids
from flexdash.models import Channel
from flexdash.services.alarms import delivering, keeping
from flexdash.services.alarms.findings import Parts
from flexdash.services.alarms.turns import Turns

LOOK_EVERY_SECONDS = 20.0
SEND_EVERY_SECONDS = 2.0
SHOW_EVERY_SECONDS = 5.0
TIDY_EVERY_SECONDS = 3600.0
# Restarting a part takes seconds; only what is away for longer is an alarm.
PATIENCE_SECONDS = 60.0
# One mail server serves everybody. Of webhooks each workspace has its own: some senders are kept for the quick ones, so
# that slow receivers, however many, hold up each other alone.
SENDERS = ((Channel.EMAIL, False), (Channel.WEBHOOK, False), (Channel.WEBHOOK, True), (Channel.WEBHOOK, True))

logger = structlog.get_logger(__name__)


class PartsWatch:
    """Knows which parts of FlexDash have been away for longer than `patience` seconds."""

    def __init__(self, connection: redis.Redis, patience: float = PATIENCE_SECONDS) -> None:
        self._connection = connection
        self._patience = patience
        self._away_since: dict[str, float] = {}

    def look(self) -> Parts:
        """Look now. While Redis is away nobody can tell of worker and scheduler: Redis is what is missing."""
        try:
            signs = presence.look(self._connection)
        except redis.RedisError:
            is_away = self._for_long("redis", True)
            self._away_since = {name: at for name, at in self._away_since.items() if name == "redis"}
            return Parts(is_redis_away=is_away, unserved_queues=None, is_scheduler_away=None)
        self._for_long("redis", False)
        return Parts(
            unserved_queues=tuple(
                name for name in QUEUES if self._for_long(f"queue:{name}", name in signs.unserved_queues)
            ),
            is_scheduler_away=self._for_long("scheduler", not signs.is_scheduler_seen),
        )

    def _for_long(self, name: str, is_away: bool) -> bool:
        if not is_away:
            self._away_since.pop(name, None)
            return False
        since = self._away_since.setdefault(name, time.monotonic())
        return time.monotonic() - since >= self._patience


class Watcher:
    """Looks and sends until it is told to stop."""

    def __init__(self, app: Flask, patience: float = PATIENCE_SECONDS) -> None:
        self._app = app
        self._is_stopped = False  # no threading.Event: a signal handler that waited for its lock could wait for itself
        self._connection = redis.Redis.from_url(
            app.config["SETTINGS"].redis_url, socket_timeout=2, socket_connect_timeout=2, retry=None
        )
        self._parts = PartsWatch(self._connection, patience)

    def run(self) -> None:
        """Work until `stop` is called. Nothing that fails ends it: the next look comes."""
        turns = {channel: Turns() for channel in Channel}
        for channel, is_for_quick in SENDERS:
            threading.Thread(
                target=with_present_ids(self._send),
                args=(channel, turns[channel], is_for_quick),
                daemon=True,
                name=f"send-{channel.value}",
            ).start()
        look_at = show_at = 0.0
        tidy_at = time.monotonic() + TIDY_EVERY_SECONDS
        while not self._is_stopped:
            now = time.monotonic()
            if now >= show_at:
                self._show()
                show_at = now + SHOW_EVERY_SECONDS
            if now >= look_at:
                self._guarded("look", self.look)
                look_at = time.monotonic() + LOOK_EVERY_SECONDS
            if now >= tidy_at:
                self._guarded("tidy", delivering.forget_old)
                tidy_at = now + TIDY_EVERY_SECONDS
            time.sleep(0.2)
        self._connection.close()

    def stop(self, *_signal: object) -> None:
        """End soon; what is being sent is sent again by the next watcher. A signal handler."""
        self._is_stopped = True

    def look(self) -> None:
        """Look around once."""
        began = time.perf_counter()
        kept = keeping.evaluate(self._parts.look())
        if kept.n_opened or kept.n_cleared:
            logger.info(
                "alarms changed",
                n_open=kept.n_open,
                n_opened=kept.n_opened,
                n_cleared=kept.n_cleared,
                n_messages=kept.n_messages,
                seconds=round(time.perf_counter() - began, 2),
            )

    def _show(self) -> None:
        try:
            presence.show_watcher(self._connection)
        except redis.RedisError as error:
            logger.debug("Redis is away; the watcher cannot show itself", error=type(error).__name__)

    def _send(self, channel: Channel, turns: Turns, is_for_quick: bool) -> None:
        while not self._is_stopped:
            has_sent = self._guarded("send", lambda: delivering.deliver_next(channel, turns, is_for_quick=is_for_quick))
            if not has_sent:
                time.sleep(SEND_EVERY_SECONDS)

    def _guarded(self, what: str, work: Callable[[], bool | None]) -> bool:
        with self._app.app_context():
            try:
                return bool(work())
            except Exception as error:
                logger.exception("the watcher could not do it; it tries again", what=what, error=type(error).__name__)
                return False
            finally:
                db.session.remove()


def run_watcher(app: Flask) -> None:
    """Look and send until SIGTERM or Ctrl-C. Several watchers at once do no harm; Redis may go and come."""
    watcher = Watcher(app)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, watcher.stop)
    logger.info("watcher started")
    watcher.run()
    logger.info("watcher stopped")
