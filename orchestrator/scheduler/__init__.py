"""What happens without being asked: polling, reconciling, forgetting."""

from orchestrator.scheduler.executor import ThreadExecutor
from orchestrator.scheduler.jobs import Job, Scheduler

__all__ = ["Job", "Scheduler", "ThreadExecutor"]
