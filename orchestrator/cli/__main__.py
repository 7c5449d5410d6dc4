"""``python -m orchestrator.cli``."""

from orchestrator.cli.root import main

main()
