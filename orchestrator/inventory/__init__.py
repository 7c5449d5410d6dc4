"""The inventory: an Ansible YAML inventory, read as Ansible reads it."""

from orchestrator.inventory.loader import Inventory, load_inventory, to_ansible_list
from orchestrator.inventory.servers import InventoryEntry

__all__ = ["Inventory", "InventoryEntry", "load_inventory", "to_ansible_list"]
