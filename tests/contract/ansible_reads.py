"""Reads inventories with ansible-core's own classes: a program for another process.

Standard input holds the paths, one a line; standard output gets a JSON list with
``{"groups": …, "hostvars": …}`` for each, or ``{"error": …}``. One process for many
inventories, because starting Ansible takes more than a second.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.vars.manager import VariableManager

INTERNAL = {
    "ansible_check_mode",
    "ansible_config_file",
    "ansible_diff_mode",
    "ansible_facts",
    "ansible_forks",
    "ansible_inventory_sources",
    "ansible_playbook_python",
    "ansible_run_tags",
    "ansible_skip_tags",
    "ansible_verbosity",
    "ansible_version",
    "ansible_local",
    "environment",
    "group_names",
    "groups",
    "inventory_dir",
    "inventory_file",
    "inventory_hostname",
    "inventory_hostname_short",
    "omit",
    "playbook_dir",
    "role_names",
}


def read(path: str) -> dict[str, Any]:
    loader = DataLoader()
    manager = InventoryManager(loader=loader, sources=[path])
    variables = VariableManager(loader=loader, inventory=manager)
    hostvars = {}
    for name, host in manager.hosts.items():
        found = variables.get_vars(host=host, include_hostvars=False, stage="all")
        hostvars[name] = {key: value for key, value in found.items() if key not in INTERNAL}
    groups = {
        name: {
            "hosts": sorted(host.name for host in group.hosts),
            "children": sorted(child.name for child in group.child_groups),
        }
        for name, group in manager.groups.items()
    }
    return {"groups": groups, "hostvars": hostvars}


def main() -> None:
    init_plugin_loader()
    answers = []
    for line in sys.stdin.read().splitlines():
        answers.append(read(line))
    json.dump(answers, sys.stdout, default=str)


if __name__ == "__main__":
    main()
