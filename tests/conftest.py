"""Rules for the whole suite."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator

import pytest
import structlog

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))

MAY_SKIP = {"pwsh", "windows"}
"""Markers of tests that may be skipped even where skipping is forbidden."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where ``ORCHESTRATOR_TEST_NO_SKIP=1``, a skip is a failure."""
    report = yield
    forbidden = os.environ.get("ORCHESTRATOR_TEST_NO_SKIP") == "1"
    if report.skipped and forbidden and not MAY_SKIP & {m.name for m in item.iter_markers()}:
        report.outcome = "failed"
        report.longrepr = f"skipped where skipping is forbidden: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole module that skips itself."""
    report = yield
    if report.skipped and os.environ.get("ORCHESTRATOR_TEST_NO_SKIP") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped where skipping is forbidden: {report.longrepr}"
    return report
