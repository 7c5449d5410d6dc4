"""What happens without being asked: polling, reconciling, forgetting."""

from orchestrator.scheduler.executor import ThreadExecutor
from orchestrator.scheduler.jobs import Job, Scheduler
from orchestrator.scheduler.poll_loop import TICK_SECONDS, PollLoop

__all__ = ["TICK_SECONDS", "Job", "PollLoop", "Scheduler", "ThreadExecutor"]
