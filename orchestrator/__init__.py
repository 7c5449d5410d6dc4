"""Agentless broker for game servers on Windows.

The package's layers, top to bottom, are listed in ``setup.cfg`` under
``[importlinter]`` and enforced by ``make check``; docs/architecture.md says
what belongs in which.
"""

__version__ = "0.1.0"
