"""The inventory means here what it means to Ansible: the same hosts, groups and variables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from random_inventory import Writer

from orchestrator.inventory import load_inventory, to_ansible_list

pytestmark = pytest.mark.ansible
pytest.importorskip("ansible")

_ROOT = Path(__file__).parents[2]
_SAMPLES = (_ROOT / "inventory" / "sample.yml", _ROOT / "inventory" / "sample")
_RANDOM = 120


def _environment(home: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "LC_"))}
    return kept | {"HOME": str(home), "LANG": "C.UTF-8", "ANSIBLE_LOCALHOST_WARNING": "0"}


def _ansible_list(path: Path, home: Path, *options: str) -> dict[str, Any]:
    program = Path(sys.executable).with_name("ansible-inventory")
    done = subprocess.run(
        [str(program), "-i", str(path), "--list", *options],
        capture_output=True,
        text=True,
        timeout=120,
        env=_environment(home),
        cwd=home,
    )
    assert done.returncode == 0, done.stderr
    listed: dict[str, Any] = json.loads(done.stdout)
    listed["_meta"].pop("profile", None)
    return listed


def _comparable(listed: dict[str, Any]) -> dict[str, Any]:
    """Without the order of members, which neither promises."""
    groups = {
        name: {part: sorted(members) for part, members in group.items()}
        for name, group in listed.items()
        if name != "_meta"
    }
    return {"groups": groups, "hostvars": listed["_meta"]["hostvars"]}


@pytest.mark.parametrize("sample", _SAMPLES, ids=lambda path: path.name)
def test_ansible_reads_the_samples_as_we_do(sample: Path, tmp_path: Path) -> None:
    ours = to_ansible_list(sample, environment={}, show_secrets=True)

    assert _comparable(ours) == _comparable(_ansible_list(sample, tmp_path))
    assert len(ours["_meta"]["hostvars"]) >= 4


@pytest.mark.parametrize("sample", _SAMPLES, ids=lambda path: path.name)
def test_the_samples_load(sample: Path) -> None:
    loaded = load_inventory(sample, environment={"GAME_SERVER_PASSWORD": "secret"})

    assert {entry.server.site for entry in loaded.entries} == {"taipei", "hsinchu"}
    assert {entry.connection.password for entry in loaded.entries} == {"secret"}


def test_ansible_decrypts_and_lists_what_we_do(tmp_path: Path) -> None:
    from ansible.parsing.vault import VaultLib, VaultSecret

    vault = VaultLib([("default", VaultSecret(b"open sesame"))])
    value = vault.encrypt("a value").decode()
    whole = vault.encrypt("ansible_password: whole file\nnumber: 7\n").decode()
    folder = tmp_path / "inventory"
    (folder / "group_vars" / "all").mkdir(parents=True)
    (folder / "group_vars" / "all" / "secret.yml").write_text(whole)
    block = "".join(f"        {line}\n" for line in value.splitlines())
    hosts = f"all:\n  hosts:\n    one:\n      ansible_user: u\n      v: !vault |\n{block}"
    (folder / "hosts.yml").write_text(hosts)
    password = tmp_path / "password"
    password.write_text("open sesame\n")

    ours = to_ansible_list(folder, environment={}, vault_password_file=password, show_secrets=True)
    theirs = _ansible_list(folder, tmp_path, "--vault-password-file", str(password))
    loaded = load_inventory(folder, environment={"ANSIBLE_VAULT_PASSWORD_FILE": str(password)})

    assert _comparable(ours) == _comparable(theirs)
    assert loaded.entries[0].connection.password == "whole file"


def test_ansible_reads_many_nasty_inventories_as_we_do(tmp_path: Path) -> None:
    paths = [Writer(seed).write(tmp_path / str(seed)) for seed in range(_RANDOM)]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("ansible_reads.py"))],
        input="\n".join(map(str, paths)),
        capture_output=True,
        text=True,
        timeout=200,
        env=_environment(tmp_path),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout)
    assert len(theirs) == _RANDOM

    for path, read in zip(paths, theirs, strict=True):
        listed = to_ansible_list(path, environment={}, show_secrets=True)
        variables = {name: _told(found) for name, found in read["hostvars"].items() if found}
        assert _told(listed["_meta"]["hostvars"]) == variables, path
        assert _members(listed) == _filled(read["groups"]), path


def _told(value: Any) -> Any:
    """Values as JSON tells them; ``!unsafe`` is a mark only ansible-inventory writes."""
    if isinstance(value, dict):
        if list(value) == ["__ansible_unsafe"]:
            return value["__ansible_unsafe"]
        return {key: _told(each) for key, each in value.items()}
    return [_told(each) for each in value] if isinstance(value, list) else value


def _members(listed: dict[str, Any]) -> dict[str, Any]:
    groups = {name: body for name, body in listed.items() if name != "_meta"}
    return {
        name: {part: set(body.get(part, [])) for part in ("hosts", "children")}
        for name, body in groups.items()
    }


def _filled(groups: dict[str, Any]) -> dict[str, Any]:
    """Groups that have members; hosts directly in ``all`` are not listed by Ansible either."""
    found = {}
    for name, body in groups.items():
        hosts = set() if name == "all" else set(body["hosts"])
        children = set(body["children"])
        if hosts or children:
            found[name] = {"hosts": hosts, "children": children}
    return found
