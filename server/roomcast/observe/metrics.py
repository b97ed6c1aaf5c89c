"""What is counted and timed, and how Prometheus reads it.

`METRICS` declares every metric once: docs/operations.md and the tests are compared with it, and an
undeclared name is a `KeyError`, not a new metric.

Invariants
    M1  A label never has many values: beyond `_SERIES` of them, the rest are counted as `other`.
    M2  Recording costs one look-up and one addition once a series is known; it never waits.
    M3  Nothing is registered in the library's global registry: two servers in one process do not meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

__all__ = ["CONTENT_TYPE", "METRICS", "Metric", "NullObserver", "PrometheusObserver"]

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
"""Of what `render` returns."""

_SERIES: Final = 512
"""Most combinations of label values of one metric."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        kind: Decides the method of `Observer` that records it: `count`, `gauge`, or `time` for histograms.
        help: What it tells, in one sentence, for operators.
        buckets: Upper bounds of a histogram, in the unit of its name.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


# From a quarter of a millisecond (an idle commit) to the write deadline.
_SHORT: Final = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
# From a fast small model to the longest timeout.
_LONG: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_POWERS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

METRICS: Final[tuple[Metric, ...]] = (
    Metric("roomcast_connections", "gauge", "Open WebSocket and SSE connections."),
    Metric("roomcast_subscribers", "gauge", "Connections joined to a room, summed over rooms."),
    Metric("roomcast_rooms_loaded", "gauge", "Rooms in memory."),
    Metric("roomcast_tasks", "gauge", "Tasks of the event loop; back where it was when everybody has left."),
    Metric("roomcast_handshakes_refused_total", "counter", "Connections refused before they opened.", ("reason",)),
    Metric("roomcast_disconnects_total", "counter", "Connections that ended, by close code or `abort`.", ("code",)),
    Metric("roomcast_commands_total", "counter", "Commands answered: `ok` or the error code.", ("command", "outcome")),
    Metric("roomcast_events_committed_total", "counter", "Events in the log."),
    Metric("roomcast_commit_seconds", "histogram", "One append of a group of batches.", (), _SHORT),
    Metric("roomcast_commit_batch_events", "histogram", "Events of one append; more under load.", (), _POWERS),
    Metric("roomcast_append_conflicts_total", "counter", "Appends that another writer came before."),
    Metric("roomcast_append_failures_total", "counter", "Appends that the store refused or lost.", ("error",)),
    Metric("roomcast_intent_failures_total", "counter", "Intents that the rules broke on; a bug.", ("intent",)),
    Metric("roomcast_deliveries_total", "counter", "Events handed to sockets, summed over viewers."),
    Metric("roomcast_outbox_bytes", "gauge", "Bytes waiting in outboxes, summed over connections."),
    Metric("roomcast_slow_viewers_total", "counter", "Viewers that fell behind, by what was done.", ("action",)),
    Metric("roomcast_viewers_behind", "gauge", "Viewers that miss something at the moment."),
    Metric("roomcast_viewer_lag_max_seconds", "gauge", "For how long the last of them has missed something."),
    Metric("roomcast_viewer_lag_seconds", "histogram", "How long a viewer was behind, once it caught up.", (), _SHORT),
    Metric("roomcast_generations_running", "gauge", "Answers being generated."),
    Metric("roomcast_generations_total", "counter", "Answers that ended, by terminal.", ("outcome",)),
    Metric("roomcast_first_output_seconds", "histogram", "From asking the upstream to its first output.", (), _LONG),
    Metric("roomcast_upstream_errors_total", "counter", "Failed requests to the upstream.", ("code",)),
    Metric("roomcast_loop_lag_seconds", "histogram", "How late timers fire: the loop was busy so long.", (), _SHORT),
)
"""Every metric of ours. Beside them stand those of the Python process (`process_…`, `python_…`)."""

_BY_NAME: Final[Mapping[str, Metric]] = {metric.name: metric for metric in METRICS}


class PrometheusObserver:
    """The port `Observer` over prometheus_client."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._families = {metric.name: _family(metric, self._registry) for metric in METRICS}
        self._series: dict[tuple[str, str, tuple[tuple[str, str], ...]], Callable[[float], None]] = {}
        self._known: dict[str, set[tuple[str, ...]]] = {metric.name: set() for metric in METRICS}
        for metric in METRICS:
            if not metric.labels:  # shows as zero before the first time
                self._resolve(metric.kind, metric.name, {})

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Add `amount` to a counter."""
        self._record("counter", name, amount, labels)

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge."""
        self._record("gauge", name, value, labels)

    def time(self, name: str, seconds: float, /, **labels: str) -> None:
        """Record a value in a histogram; seconds, where the name ends so."""
        self._record("histogram", name, seconds, labels)

    def render(self) -> bytes:
        """The body of `GET /metrics`; its type is `CONTENT_TYPE`. Takes some milliseconds."""
        return generate_latest(_WithoutCreated(self._registry))

    def _record(self, kind: str, name: str, value: float, labels: dict[str, str]) -> None:
        series = self._series.get((kind, name, tuple(labels.items())))
        if series is None:
            series = self._resolve(kind, name, labels)
        series(value)

    def _resolve(self, kind: str, name: str, labels: dict[str, str]) -> Callable[[float], None]:
        metric = _declared(kind, name, labels)
        family = self._families[name]
        values = tuple(labels[label] for label in metric.labels)
        known = self._known[name]
        if values in known or len(known) < _SERIES:
            known.add(values)
            recorder = _recorder(family.labels(*values) if values else family)
            self._series[kind, name, tuple(labels.items())] = recorder
            return recorder
        return _recorder(family.labels(*("other" for _ in values)))


class NullObserver:
    """The port `Observer` where nobody looks; it still refuses what is not declared."""

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Check the name."""
        _declared("counter", name, labels)

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        """Check the name."""
        _declared("gauge", name, labels)

    def time(self, name: str, seconds: float, /, **labels: str) -> None:
        """Check the name."""
        _declared("histogram", name, labels)


def _declared(kind: str, name: str, labels: Mapping[str, str]) -> Metric:
    metric = _BY_NAME[name]
    assert metric.kind == kind, f"{name} is a {metric.kind}, not a {kind}"
    assert labels.keys() == set(metric.labels), f"{name} has the labels {metric.labels}, not {tuple(labels)}"
    return metric


def _family(metric: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    match metric.kind:
        case "counter":
            return Counter(metric.name, metric.help, metric.labels, registry=registry)
        case "gauge":
            return Gauge(metric.name, metric.help, metric.labels, registry=registry)
        case "histogram":
            return Histogram(metric.name, metric.help, metric.labels, registry=registry, buckets=metric.buckets)


def _recorder(series: Counter | Gauge | Histogram) -> Callable[[float], None]:
    match series:
        case Counter():
            return series.inc
        case Gauge():
            return series.set
        case Histogram():
            return series.observe


class _WithoutCreated(Collector):
    """Leaves out the `_created` samples, which double the page and say nothing to Prometheus.

    The library can be told to, but only for the whole process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Family]:
        for family in self._registry.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family
