"""What a broker is made from: its inventory and its scripts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from orchestrator.config import Settings
from orchestrator.domain.errors import InventoryMissing
from orchestrator.inventory import Inventory, load_inventory


def read_inventory(settings: Settings) -> Inventory:
    """The inventory that the settings name; InventoryError with all that is wrong."""
    if settings.inventory is None:
        raise InventoryMissing(
            "no inventory is named, so there are no servers to call: write --inventory PATH or "
            "set ORCHESTRATOR_INVENTORY; 'orchestrator lab' writes one of simulated servers"
        )
    return load_inventory(
        settings.inventory,
        environment=dict(os.environ),
        vault_password_file=settings.vault_password_file,
    )


def default_scripts() -> Path:
    """Where the PowerShell scripts are: the checkout's folder, or the installed one."""
    checkout = Path(__file__).resolve().parents[2] / "scripts" / "powershell"
    if checkout.is_dir():
        return checkout
    return Path(sys.prefix) / "share" / "game-orchestrator" / "powershell"
