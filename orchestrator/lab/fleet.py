"""A fleet of lab servers with games on them, and the inventory that names them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator.domain.game import Game, LaunchSpec, Needs, Ready
from orchestrator.domain.mode import Mode
from orchestrator.lab.certificate import make_certificate
from orchestrator.lab.server import LabServer
from orchestrator.lab.windows import Computer, WindowsMachine
from orchestrator.lab.windows.clock import LabClock
from orchestrator.lab.windows.programs import (
    CONFIG_DIRECTORY,
    GameBehaviour,
    install_game,
    install_gaminganywhere,
)

USER = "orchestrator"
_SIZES = ((8, 16384, 2), (16, 32768, 4), (32, 65536, 8))
"""CPUs, memory in MiB and slots of the servers, in turn."""

SUPERTUX = r"C:\Games\SuperTux\supertux2.exe"
NEVERBALL = r"C:\Games\Neverball\neverball.exe"
FREECIV = r"C:\Games\Freeciv\freeciv-gtk3.exe"


@dataclass(frozen=True, slots=True)
class LabHost:
    """One server of a lab, as the newcomer sees it."""

    name: str
    url: str
    cpus: int
    memory_mb: int
    slots: int


class Lab:
    """Servers that listen from entering to leaving; a context manager."""

    def __init__(self, servers: int, *, password: str, tls: bool = False, seed: int = 1) -> None:
        self._password = password
        self._folder = tempfile.TemporaryDirectory(prefix="lab-")
        self._ca: Path | None = None
        certificate = None
        if tls:
            certificate, self._ca = make_certificate(Path(self._folder.name))
        self.computers: list[Computer] = []
        self.servers: list[LabServer] = []
        self._slots: list[int] = []
        for number in range(servers):
            cpus, memory_mb, slots = _SIZES[number % len(_SIZES)]
            computer = build_computer(
                f"GAME-{number + 1:02}", cpus=cpus, memory_mb=memory_mb, seed=seed + number
            )
            self.computers.append(computer)
            self._slots.append(slots)
            self.servers.append(
                LabServer(
                    WindowsMachine(computer),
                    {USER: password},
                    certificate=certificate,
                    seed=seed + number,
                )
            )

    @property
    def hosts(self) -> Sequence[LabHost]:
        """What there is."""
        return [
            LabHost(c.name.lower(), s.url, c.cpus, c.memory_mb, slots)
            for c, s, slots in zip(self.computers, self.servers, self._slots, strict=True)
        ]

    def inventory_yaml(self) -> str:
        """An inventory of these servers."""
        scheme = "https" if self._ca else "http"
        lines = [
            "# Servers of 'orchestrator lab'; written by it, removed when it stops.",
            "all:",
            "  vars:",
            "    ansible_connection: winrm",
            f"    ansible_user: {USER}",
            f"    ansible_password: '{self._password}'",
            f"    ansible_winrm_scheme: {scheme}",
            "    ansible_winrm_transport: ntlm",
            "    orchestrator_site: lab",
        ]
        if self._ca:
            lines.append(f"    ansible_winrm_ca_trust_path: {self._ca}")
        lines.append("  hosts:")
        for number, (host, server) in enumerate(zip(self.hosts, self.servers, strict=True)):
            first = 8554 + 100 * number
            lines += [
                f"    {host.name}:",
                f"      ansible_host: {server.host}",
                f"      ansible_port: {server.port}",
                f"      orchestrator_slots: {host.slots}",
                f"      orchestrator_ports: {first}-{first + 99}",
            ]
        return "\n".join(lines) + "\n"

    def __enter__(self) -> Self:
        for server in self.servers:
            server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in self.servers:
            server.stop()
        self._folder.cleanup()


def build_computer(
    name: str,
    *,
    clock: LabClock | None = None,
    cpus: int = 8,
    memory_mb: int = 32768,
    has_gpu: bool = True,
    seed: int = 1,
) -> Computer:
    """A booted server with GamingAnywhere, the demo's games and a player logged on."""
    computer = Computer(
        name, clock=clock, cpus=cpus, memory_mb=memory_mb, has_gpu=has_gpu, seed=seed
    )
    computer.boot()
    install_gaminganywhere(computer)
    install_game(computer, SUPERTUX, GameBehaviour(window="SuperTux"))
    install_game(computer, NEVERBALL, GameBehaviour(window="Neverball", cpu=0.2, gpu=0.35))
    install_game(computer, FREECIV, GameBehaviour(window="Freeciv", cpu=0.05, gpu=0.02))
    computer.files.write(
        rf"{CONFIG_DIRECTORY}\supertux.conf",
        "# SuperTux, hooked\n[core]\ninclude = common/server.conf\n"
        f"game-exe = {SUPERTUX}\nhook-type = sdl2\nserver-port = 8554\n",
    )
    computer.files.write(
        rf"{CONFIG_DIRECTORY}\neverball.conf",
        "# Neverball, its window captured\n[core]\ninclude = common/server.conf\n"
        "find-window-name = Neverball\nserver-port = 8554\n",
    )
    return computer


def demo_games() -> tuple[Game, ...]:
    """The catalogue that fits ``build_computer``: a game for each mode."""
    return (
        Game(
            "supertux",
            "SuperTux",
            {
                Mode.EVENT_DRIVEN: LaunchSpec(
                    executable=SUPERTUX, config_file="supertux.conf", hook_type="sdl2"
                )
            },
            Needs(cpu=0.12, gpu=0.2, memory_mb=900),
        ),
        Game(
            "neverball",
            "Neverball",
            {Mode.PERIODIC: LaunchSpec(executable=NEVERBALL, config_file="neverball.conf")},
            Needs(cpu=0.25, gpu=0.35, memory_mb=1020),
        ),
        Game(
            "freeciv",
            "Freeciv",
            {
                Mode.PROCESS: LaunchSpec(
                    executable=FREECIV, arguments=("--fullscreen",), ready=Ready.PROCESS
                )
            },
            Needs(cpu=0.05, gpu=0.02, memory_mb=900),
        ),
    )
