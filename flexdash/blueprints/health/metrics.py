"""`/metrics`: the figures of the whole installation as Prometheus reads them. docs/metrics.md explains each."""

import hmac
import time
from collections.abc import Iterator

import redis
import structlog
from flask import Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from config_parsers import is_loopback
from flexdash import metrics
from flexdash.blueprints.guard import public
from flexdash.blueprints.health.checks import check_parts
from flexdash.blueprints.health.routes import blueprint, uncached
from flexdash.extensions import redis_client, settings
from flexdash.jobs import presence
from flexdash.services import figures
from flexdash.services.figures import Figure

_MARKS_OF_A_PROXY = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Forwarded", "Via")
_CLOSED = (
    "The figures are read from this machine only, not through a proxy. To read them from elsewhere, set METRICS_TOKEN "
    "and send it as a bearer token.\n"
)

log = structlog.get_logger(__name__)


@blueprint.get("/metrics", endpoint="metrics")
@public
def figures_of_everything() -> Response:
    """Answer with all figures to whoever has METRICS_TOKEN; without that setting, to this machine alone."""
    if settings.metrics_token:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        is_it = hmac.compare_digest(given.encode(), settings.metrics_token.encode())
        if not is_it or scheme.lower() != "bearer":
            refusal = Response("These figures want the bearer token.\n", 401, mimetype="text/plain")
            refusal.headers["WWW-Authenticate"] = 'Bearer realm="metrics"'
            return uncached(refusal)
    elif not _is_from_this_machine():
        return uncached(Response(_CLOSED, 403, mimetype="text/plain"))
    registry = CollectorRegistry()
    registry.register(_Figures())
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return uncached(Response(encode(registry), content_type=content_type))


def _is_from_this_machine() -> bool:
    """Say whether nobody else can be behind this request: where a proxy stands in front, anyone can.

    In production one always does, and it need not say so.
    """
    if settings.is_production or settings.trusted_proxies or any(name in request.headers for name in _MARKS_OF_A_PROXY):
        return False
    return is_loopback(request.remote_addr or "")


class _Figures(Collector):
    """Gathers everything at the moment it is asked for. A source that is away costs its own figures only."""

    def collect(self) -> Iterator[Metric]:
        began = time.perf_counter()
        gathered = [Figure("part_up", (name,), part.is_up) for name, part in check_parts().items()]
        counted: dict[str, dict[tuple[str, ...], float]] = {}
        is_database_away = is_redis_away = False
        try:
            gathered += figures.of_everything()
        except SQLAlchemyError as error:
            is_database_away = True
            log.warning("figures of the database are missing", error=type(error).__name__)
        try:
            gathered += _of_queues()
            counted = metrics.counted()
        except redis.RedisError as error:
            is_redis_away = True
            log.warning("figures of Redis are missing", error=type(error).__name__)
        gathered.append(Figure("scrape_problem", ("database",), is_database_away))
        gathered.append(Figure("scrape_problem", ("redis",), is_redis_away))
        gathered.append(Figure("scrape_seconds", (), time.perf_counter() - began))
        yield from _gauges(gathered)
        yield from _counters(counted)


def _of_queues() -> Iterator[Figure]:
    for state in presence.queue_states(redis_client):
        yield Figure("queue_jobs", (state.name,), state.n_jobs)
        yield Figure("queue_failed_jobs", (state.name,), state.n_failed)
        yield Figure("queue_workers", (state.name,), state.n_workers)


def _gauges(gathered: list[Figure]) -> Iterator[Metric]:
    by_name: dict[str, list[Figure]] = {name: [] for name in metrics.GAUGES}
    for figure in gathered:
        by_name[figure.name].append(figure)
    for name, (help_text, labels) in metrics.GAUGES.items():
        family = GaugeMetricFamily(metrics.PREFIX + name, help_text, labels=labels)
        for figure in by_name[name]:
            family.add_metric(figure.labels, figure.value)
        yield family


def _counters(counted: dict[str, dict[tuple[str, ...], float]]) -> Iterator[Metric]:
    for name, facts in metrics.COUNTERS.items():
        family = CounterMetricFamily(metrics.PREFIX + name, facts.help, labels=tuple(facts.labels))
        for labels, value in sorted(counted.get(name, {}).items()):
            family.add_metric(labels, value)
        yield family
