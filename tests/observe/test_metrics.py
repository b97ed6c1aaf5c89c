"""Tests of roomcast/observe/metrics.py."""

from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from roomcast.core.ports import Observer
from roomcast.observe import CONTENT_TYPE, METRICS, NullObserver, PrometheusObserver
from roomcast.observe.metrics import Metric

OBSERVERS: list[Callable[[], Observer]] = [PrometheusObserver, NullObserver]


def samples(observer: PrometheusObserver) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(observer.render().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_counters_add_gauges_hold_and_histograms_gather() -> None:
    observer = PrometheusObserver()
    observer.count("roomcast_deliveries_total", 200)
    observer.count("roomcast_deliveries_total")
    observer.gauge("roomcast_connections", 5)
    observer.gauge("roomcast_connections", 3)
    observer.time("roomcast_commit_seconds", 0.002)
    observer.time("roomcast_commit_seconds", 0.5)
    found = samples(observer)
    assert found["roomcast_deliveries_total", ()] == 201
    assert found["roomcast_connections", ()] == 3
    assert found["roomcast_commit_seconds_count", ()] == 2
    assert found["roomcast_commit_seconds_sum", ()] == pytest.approx(0.502)
    assert found["roomcast_commit_seconds_bucket", (("le", "0.0025"),)] == 1


def test_labels_are_told_apart_in_any_order() -> None:
    observer = PrometheusObserver()
    observer.count("roomcast_commands_total", command="room.join", outcome="ok")
    observer.count("roomcast_commands_total", outcome="ok", command="room.join")
    observer.count("roomcast_commands_total", command="room.join", outcome="forbidden")
    found = samples(observer)
    assert found["roomcast_commands_total", (("command", "room.join"), ("outcome", "ok"))] == 2
    assert found["roomcast_commands_total", (("command", "room.join"), ("outcome", "forbidden"))] == 1


@pytest.mark.parametrize("make", OBSERVERS)
def test_an_undeclared_name_is_an_error(make: Callable[[], Observer]) -> None:
    observer = make()
    with pytest.raises(KeyError, match="roomcast_no_such_total"):
        observer.count("roomcast_no_such_total")


@pytest.mark.parametrize("make", OBSERVERS)
def test_another_kind_or_other_labels_than_declared_are_an_error(make: Callable[[], Observer]) -> None:
    observer = make()
    with pytest.raises(AssertionError, match="is a gauge, not a counter"):
        observer.count("roomcast_connections")
    with pytest.raises(AssertionError, match="has the labels"):
        observer.count("roomcast_commands_total", command="room.join")
    with pytest.raises(AssertionError, match="has the labels"):
        observer.gauge("roomcast_connections", 1, room="lobby")


def test_looking_away_takes_what_is_declared() -> None:
    observer = NullObserver()
    observer.count("roomcast_deliveries_total", 5)
    observer.gauge("roomcast_connections", 1)
    observer.time("roomcast_commit_seconds", 0.1)


def test_a_label_with_many_values_does_not_grow_without_bound() -> None:
    """M1"""
    observer = PrometheusObserver()
    for number in range(2_000):
        observer.count("roomcast_disconnects_total", code=str(number))
    observer.count("roomcast_disconnects_total", code="0")
    codes = {labels[0][1]: value for (name, labels), value in samples(observer).items() if "disconnects" in name}
    assert len(codes) == 513
    assert codes["other"] == 2_000 - 512
    assert codes["0"] == 2


def test_a_series_that_is_known_stays_known_in_any_order_of_its_labels() -> None:
    observer = PrometheusObserver()
    for number in range(600):
        observer.count("roomcast_commands_total", command=str(number), outcome="ok")
    observer.count("roomcast_commands_total", outcome="ok", command="0")
    assert samples(observer)["roomcast_commands_total", (("command", "0"), ("outcome", "ok"))] == 2


def test_two_observers_in_one_process_do_not_meet() -> None:
    """M3"""
    first, second = PrometheusObserver(), PrometheusObserver()
    first.count("roomcast_deliveries_total", 5)
    assert samples(second)["roomcast_deliveries_total", ()] == 0


def test_the_page_has_every_metric_and_the_process_and_no_creation_times() -> None:
    observer = PrometheusObserver()
    page = observer.render().decode()
    assert all(f"# HELP {metric.name} {metric.help}\n" in page for metric in METRICS)
    assert "python_info{" in page
    assert "process_resident_memory_bytes" in page
    assert "_created" not in page
    assert CONTENT_TYPE.startswith("text/plain")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_say_what_they_are(metric: Metric) -> None:
    assert metric.name.startswith("roomcast_")
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    assert (metric.kind == "histogram") == bool(metric.buckets)
    assert list(metric.buckets) == sorted(metric.buckets)
    assert metric.help.endswith(".")
