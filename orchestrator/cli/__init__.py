"""The ``orchestrator`` command."""

from orchestrator.cli.root import main

__all__ = ["main"]
