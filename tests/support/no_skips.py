"""`pytest --no-skips`: a test that did not run counts as a failure.

Continuous integration uses it, so that a missing browser or module cannot turn a red run green.
Expected failures count as well: a promise that is known to be broken is not kept.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option; off by default, so that a developer without a browser can work."""
    parser.addoption("--no-skips", action="store_true", help="report skipped and expected-to-fail tests as failures")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the report of a skipped test into a failure."""
    report = yield
    if item.config.getoption("no_skips"):
        _refuse(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the report of a module that skipped itself into a failure."""
    report = yield
    if collector.config.getoption("no_skips"):
        _refuse(report)
    return report


def _refuse(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.outcome != "skipped":
        return
    reason = getattr(report, "wasxfail", None)
    if reason is not None:
        delattr(report, "wasxfail")
    elif isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
    report.outcome = "failed"
    report.longrepr = f"did not run, and --no-skips is set: {reason}"
