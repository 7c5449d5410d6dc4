"""Reports to people: their words, their looks, and sending them through Apprise."""

from orchestrator.notify.apprise_notifier import AppriseNotifier, read_targets
from orchestrator.notify.rendering import render_report

__all__ = ["AppriseNotifier", "read_targets", "render_report"]
