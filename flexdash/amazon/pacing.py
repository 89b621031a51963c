"""Amazon's usage plans, kept by all workers together: one token bucket in Redis per selling partner and operation.

Amazon fills a bucket of `burst` tokens at `rate` per second and answers 429 when it is empty. This side keeps its own
bucket of the same rate, a little smaller, so that requests that overtake each other on the way still find a token:

- A turn is reserved, not polled for: the script answers how long to wait, and the caller sleeps outside Redis. Turns
  are given in the order they were asked for.
- A bucket that Redis does not know starts empty, and a little later than Amazon's could: after a wiped Redis nobody
  knows what Amazon's bucket still holds, and a short wait is cheaper than a storm of answers 429. Operations that
  refill so slowly that a person would wait for a minute start a third full.
- `x-amzn-RateLimit-Limit` on an answer becomes the rate at once, for everybody. Amazon never tells the burst.
- After a 429 the bucket is emptied and rests; turns given out but not yet taken are void, and their holders ask again.

The clock is the Redis server's. https://developer-docs.amazon.com/sp-api/docs/usage-plans-and-rate-limits
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import redis

from flexdash.amazon.errors import RedisUnavailable, Throttled

log = logging.getLogger(__name__)

DEFAULT_MAX_WAIT_SECONDS = 120.0
_MAX_RATE = 10_000.0
_MIN_OF_PLAN = 0.01  # a rate below this part of the documented one would still the operation for hours: it is a mistake
_MAX_PAUSE_SECONDS = 300.0

# The share of the plan that is used. With a burst of one there is no smaller bucket to keep, only a slower one.
_SHARE = 0.995
_SHARE_OF_BURST_OF_ONE = 0.98
_JITTER_SECONDS = 0.5

# Shared by the scripts: reads the bucket, allows for a server clock that was set back, and leaves in `tat` the time
# at which the bucket would be full if nothing more were taken ("theoretical arrival time"). Times are microseconds.
_PRELUDE = """
local share, capacity, reserve, initial = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local now
if ARGV[1] ~= '' then
  now = tonumber(ARGV[1])
else
  local clock = redis.call('TIME')
  now = clock[1] * 1000000 + clock[2]
end
local kept = redis.call('HMGET', KEYS[1], 'tat', 'rate', 'epoch', 'seen')
local tat, rate, epoch, seen = tonumber(kept[1]), tonumber(kept[2] or ARGV[6]), kept[3], tonumber(kept[4])
local interval = 1000000 / (rate * share)
local tolerance = (capacity - 1) * interval
local function level_to_tat(tokens, per_token)
  return now + (capacity - tokens) * per_token
end
if not tat or not epoch then
  epoch = string.format('%.0f', now)
  tat = level_to_tat(initial > 0 and initial or -reserve, interval)
elseif seen and now < seen then
  tat = tat - (seen - now)
end
tat = math.max(tat, now)
local function keep()
  redis.call('HSET', KEYS[1], 'tat', string.format('%.2f', tat), 'rate', string.format('%.10g', rate),
    'epoch', epoch, 'seen', string.format('%.0f', now))
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', 86400000 + math.ceil(2 * capacity * interval / 1000)))
end
"""

_ACQUIRE = (
    _PRELUDE
    + """
local wait = math.max(0, tat - tolerance - now)
if wait < 100 then wait = 0 end  -- no sleep is that exact, and the reserve covers it
if wait > tonumber(ARGV[7]) then
  keep()
  return {0, string.format('%.0f', wait), epoch, string.format('%.10g', rate)}
end
tat = tat + interval
keep()
return {1, string.format('%.0f', math.ceil(wait)), epoch, string.format('%.10g', rate)}
"""
)

_FOLLOW = (
    _PRELUDE
    + """
local tokens = math.max(0, capacity - (tat - now) / interval)
rate = tonumber(ARGV[7])
tat = level_to_tat(tokens, 1000000 / (rate * share))
epoch = string.format('%.0f', math.max(now, tonumber(epoch) + 1))
keep()
return epoch
"""
)

_BACK_OFF = (
    _PRELUDE
    + """
tat = level_to_tat(-reserve, interval) + tonumber(ARGV[7])
epoch = string.format('%.0f', math.max(now, tonumber(epoch) + 1))
keep()
return epoch
"""
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A usage plan of Amazon: `rate` tokens per second into a bucket of `burst`, for one operation."""

    operation: str
    rate: float
    burst: int = 1

    @property
    def reserve(self) -> int:
        """Tokens of Amazon's bucket left alone, for requests that arrive closer together than they were sent."""
        if self.burst <= 1:
            return 0
        return max(1, math.ceil(min(self.burst / 4, self.rate * _JITTER_SECONDS)))

    @property
    def capacity(self) -> int:
        """How many requests may go at once."""
        return max(1, self.burst - self.reserve)

    @property
    def share(self) -> float:
        """The share of Amazon's rate that is used."""
        return _SHARE_OF_BURST_OF_ONE if self.burst <= 1 else _SHARE

    @property
    def initial(self) -> int:
        """Tokens in a bucket nobody has used yet: none, or some when a token takes more than ten seconds."""
        return max(1, self.capacity // 3) if self.rate < 0.1 else 0


class Pacer:
    """Hands out turns under Amazon's usage plans to every thread and process that shares `redis_client`.

    `sleep` and `clock` (microseconds as text; "" means the Redis server's clock) are for tests.
    """

    def __init__(
        self,
        redis_client: redis.Redis,
        *,
        max_wait_seconds: float = DEFAULT_MAX_WAIT_SECONDS,
        prefix: str = "flexdash:amazon:pace",
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], str] = lambda: "",
    ) -> None:
        self._redis = redis_client
        self._max_wait_seconds = max_wait_seconds
        self._prefix = prefix
        self._sleep = sleep
        self._clock = clock
        self._rates: dict[tuple[str, str], float] = {}
        self._acquire = redis_client.register_script(_ACQUIRE)
        self._follow = redis_client.register_script(_FOLLOW)
        self._back_off = redis_client.register_script(_BACK_OFF)

    def acquire(self, partner: str, plan: Plan, max_wait_seconds: float | None = None) -> float:
        """Wait until a request of `plan` may go out for `partner`; return the seconds waited.

        Raises Throttled at once, without taking a turn, when the wait would be longer than `max_wait_seconds`, and
        RedisUnavailable when Redis cannot be asked: without it nobody knows whether the plan has room.
        """
        limit = self._max_wait_seconds if max_wait_seconds is None else max_wait_seconds
        waited = 0.0
        key = self._key(partner, plan.operation)
        while True:
            is_granted, wait_us, epoch, rate = self._run(self._acquire, partner, plan, int((limit - waited) * 1e6))
            self._rates[partner, plan.operation] = float(rate)
            wait = int(wait_us) / 1e6
            if not int(is_granted):
                raise Throttled(
                    f"Amazon's usage plan has no room within {limit:.0f} seconds; the next turn is in {wait:.0f}",
                    retry_after_seconds=wait,
                    operation=plan.operation,
                )
            if wait <= 0:
                return waited
            self._sleep(wait)
            waited += wait
            if self._ask(lambda: self._redis.hget(key, "epoch"), plan) == epoch:
                return waited

    def follow(self, partner: str, plan: Plan, header: str | None) -> None:
        """Make the rate in `x-amzn-RateLimit-Limit` the bucket's, for everybody; ignore what is no rate."""
        try:
            rate = float(header or "")
        except ValueError:
            return
        if not plan.rate * _MIN_OF_PLAN <= rate <= _MAX_RATE:
            return
        known = self._rates.get((partner, plan.operation))
        if known is not None and math.isclose(known, rate, rel_tol=1e-6):
            return
        # What Amazon just did stands whether or not Redis can be told, so a failure here must not hide it.
        try:
            self._run(self._follow, partner, plan, f"{rate:.10g}")
        except RedisUnavailable:
            log.warning("Redis is away: Amazon's new rate for %s is not kept", plan.operation)
        else:
            self._rates[partner, plan.operation] = rate

    def back_off(self, partner: str, plan: Plan, pause_seconds: float) -> None:
        """After a 429: empty the bucket and let it rest for `pause_seconds` (at most five minutes)."""
        try:
            self._run(self._back_off, partner, plan, int(min(pause_seconds, _MAX_PAUSE_SECONDS) * 1e6))
        except RedisUnavailable:
            log.warning("Redis is away: the pause Amazon asked for on %s is not kept", plan.operation)

    def _key(self, partner: str, operation: str) -> str:
        return f"{self._prefix}:{partner}:{operation}"

    def _run(self, script, partner: str, plan: Plan, argument: float | str):
        args = [self._clock(), plan.share, plan.capacity, plan.reserve, plan.initial, plan.rate, argument]
        return self._ask(lambda: script(keys=[self._key(partner, plan.operation)], args=args), plan)

    @staticmethod
    def _ask(question: Callable[[], object], plan: Plan):
        try:
            return question()
        except redis.RedisError as error:
            raise RedisUnavailable(
                "Redis, which keeps FlexDash within Amazon's usage plans, cannot be reached; nothing was sent",
                operation=plan.operation,
            ) from error
