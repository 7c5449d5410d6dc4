"""Writes an inventory that is right and nasty; the same one for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

_SCALARS = (
    *("yes", "No", "ON", "off", "true", "~", "null", '""', "''", "1", "-7", "007", "0o7", "0x1F"),
    *("0b101", "1_000", "1:30", "1.5", "1e3", "1.5e+3", ".5", "12e34567", "-0", "08", "+1", "1."),
    *("2024-12-31", "2024-12-31x", "'yes'", '"1"', "text", "a b", "C:\\Games\\bin", '"tab\\t"'),
    *("|\n{i}  two\n{i}  lines\n", ">-\n{i}  folded\n{i}  text\n", "[1, a, yes]", "[]", "{}"),
    *("{a: 1, b: [x, {c: ~}]}", "遊戲伺服器", '"{{ other }}"', "!unsafe 'x {{ y }}'", "Yes please"),
    *("192.0.2.1", "1.2.3", "9000-9099", "=x", "'#no comment'", "text # comment", "1,2", "0.0"),
)  # fmt: skip
# No key twice in one list: PyYAML 6.0.4 lets the last mapping win, the releases
# before it the first, as YAML 1.1 has it and as we do.
_MERGES = ("*base", "[*base, {vy: on}]", "[{vx: first}, *base]", "{vc: inline}")
_VARIABLES = ("va", "vb", "vc", "vd", "ansible_port", "ansible_user", "ve")
_HOSTS = (
    "solo",
    "w[1:3]",
    "w[02:04]",
    "r[a:c]",
    "r[b:d]-[1:2]",
    "w[1:9:4]",
    "x.example",
    "192.0.2.9",
    "ported:5985",
    "s[01:02]:1234",
    "[2001:db8::5]:5986",
    "z[0:11:10]",
    "w[:2]",
    "r[Y:Z]",
)
_GROUPS = ("alpha", "beta", "gamma", "delta", "site-1", "zeta")


class Writer:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._anchors = 0
        self._order = self._random.sample(_GROUPS, len(_GROUPS))

    def write(self, folder: Path) -> Path:
        """The inventory's path: a file or a folder, with its variable files beside it."""
        folder.mkdir(parents=True)
        whole = self._random.random() < 0.4
        if whole:
            for name in self._random.sample(("10-a.yml", "20-b.yaml", "nested/c.yml"), 2):
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_text(self._inventory(), encoding="utf-8")
            (folder / "notes.txt").write_text("- ignored", encoding="utf-8")
            (folder / ".hidden.yml").write_text("- ignored", encoding="utf-8")
        else:
            (folder / "hosts.yml").write_text(self._inventory(), encoding="utf-8")
        self._variable_files(folder / "group_vars", ("all", "ungrouped", *_GROUPS))
        self._variable_files(folder / "host_vars", ("solo", "w1", "w02", "ra", "x.example"))
        return folder if whole else folder / "hosts.yml"

    def _variable_files(self, folder: Path, names: tuple[str, ...]) -> None:
        for name in names:
            if self._random.random() < 0.5:
                continue
            form = self._random.choice(("{}", "{}.yml", "{}.yaml", "{}.json", "{}/b.yml", "{}/a"))
            self._file(folder / form.format(name))
            if "/" in form:
                self._file(folder / name / "sub" / "z.yml")
                self._file(folder / name / "ignored.txt")
                self._file(folder / f"{name}.yml")

    def _file(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(self._variables("")) or "---\n"
        path.write_text(text, encoding="utf-8")

    def _inventory(self) -> str:
        order = self._order
        lines = ["all:\n", *self._body("  ", order, top=True)]
        for place, group in enumerate(order):
            if self._random.random() < 0.6:
                lines += [f"{group}:\n", *self._body("  ", order[place + 1 :])]
        if self._random.random() < 0.3:
            lines += ["ungrouped:\n", *self._body("  ", [])]
        return "".join(lines)

    def _body(self, indent: str, below: list[str], top: bool = False) -> Iterator[str]:
        """A group's parts; only groups of ``below`` become children, so there is no circle."""
        parts = self._random.sample(("hosts", "vars", "children"), 3)
        for part in parts:
            if part == "hosts" and (top or self._random.random() < 0.7):
                yield f"{indent}hosts:\n"
                for host in self._random.sample(_HOSTS, self._random.randint(1, 3)):
                    yield f"{indent}  '{host}':\n"
                    yield from self._variables(f"{indent}    ")
            elif part == "vars" and self._random.random() < 0.7:
                yield f"{indent}vars:\n"
                yield from self._variables(f"{indent}  ")
                if not top and self._random.random() < 0.5:
                    priority = self._random.choice(("0", "5", "'7'", "-1", "10"))
                    yield f"{indent}  ansible_group_priority: {priority}\n"
            elif part == "children" and below and self._random.random() < 0.6:
                yield f"{indent}children:\n"
                for place, group in enumerate(below[:3]):
                    yield f"{indent}  {group}:\n"
                    if len(indent) < 10 and self._random.random() < 0.4:
                        yield from self._body(f"{indent}    ", below[place + 1 :])

    def _variables(self, indent: str) -> Iterator[str]:
        if self._random.random() < 0.15:
            self._anchors += 1
            base = f"b{self._anchors}"
            yield f"{indent}base: &{base} {{va: merged, vz: [1, {{a: b}}]}}\n"
            yield f"{indent}<<: {self._random.choice(_MERGES).replace('base', base)}\n"
        for name in self._random.sample(_VARIABLES, self._random.randint(0, 4)):
            scalar = self._random.choice(_SCALARS).replace("{i}", indent)
            yield f"{indent}{name}: {scalar}".rstrip("\n") + "\n"
