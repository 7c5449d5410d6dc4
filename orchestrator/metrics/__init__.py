"""Figures for Prometheus."""

from orchestrator.metrics.metrics import Metrics

__all__ = ["Metrics"]
