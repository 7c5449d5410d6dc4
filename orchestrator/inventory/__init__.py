"""The inventory: an Ansible YAML inventory, read as Ansible reads it."""

from orchestrator.inventory.loader import (
    Inventory,
    InventoryEntry,
    load_inventory,
    to_ansible_list,
)

__all__ = ["Inventory", "InventoryEntry", "load_inventory", "to_ansible_list"]
