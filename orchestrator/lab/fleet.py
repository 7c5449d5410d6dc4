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
from orchestrator.lab.dead import DeadServer
from orchestrator.lab.server import LabServer
from orchestrator.lab.windows import Computer, WindowsMachine
from orchestrator.lab.windows.clock import LabClock
from orchestrator.lab.windows.programs import (
    CONFIG_DIRECTORY,
    GameBehaviour,
    install_game,
    install_gaminganywhere,
)

_FIRST_PORT = 8554
USER = "orchestrator"
_SIZES = ((8, 16384, 2), (16, 32768, 4), (32, 65536, 8))
"""CPUs, memory in MiB and slots of the servers, in turn."""

SUPERTUX = r"C:\Games\SuperTux\supertux2.exe"
NEVERBALL = r"C:\Games\Neverball\neverball.exe"
FREECIV = r"C:\Games\Freeciv\freeciv-gtk3.exe"
NOTEPAD = r"C:\Windows\notepad.exe"


@dataclass(frozen=True, slots=True)
class LabHost:
    """One server of a lab, as the newcomer sees it."""

    name: str
    url: str
    cpus: int
    memory_mb: int
    slots: int


class Lab:
    """Servers that listen from entering to leaving; a context manager.

    Of ``servers``, the last are dead: so many ``refusing`` connections, and so
    many ``hanging`` once connected. ``computers`` and ``servers`` are the living.
    """

    def __init__(
        self,
        servers: int,
        *,
        password: str,
        tls: bool = False,
        seed: int = 1,
        refusing: int = 0,
        hanging: int = 0,
    ) -> None:
        self._password = password
        self._folder = tempfile.TemporaryDirectory(prefix="lab-")
        self._ca: Path | None = None
        self._certificate: Path | None = None
        if tls:
            self._certificate, self._ca = make_certificate(Path(self._folder.name))
        self.computers: list[Computer] = []
        self.servers: list[LabServer] = []
        self._hosts: list[tuple[LabHost, LabServer | DeadServer]] = []
        for number in range(servers):
            if number < servers - refusing - hanging:
                self._add_living(number, seed + number)
            else:
                self._add_dead(number, hangs=number >= servers - hanging)

    def _add_living(self, number: int, seed: int) -> None:
        cpus, memory_mb, _ = _SIZES[number % len(_SIZES)]
        name = f"GAME-{number + 1:02}"
        computer = build_computer(name, cpus=cpus, memory_mb=memory_mb, seed=seed)
        server = LabServer(
            WindowsMachine(computer),
            {USER: self._password},
            certificate=self._certificate,
            seed=seed,
        )
        self.computers.append(computer)
        self.servers.append(server)
        self._hosts.append((_host(number, server.url), server))

    def _add_dead(self, number: int, *, hangs: bool) -> None:
        server = DeadServer(hangs=hangs)
        self._hosts.append((_host(number, server.url), server))

    @property
    def hosts(self) -> Sequence[LabHost]:
        """What there is."""
        return [host for host, _ in self._hosts]

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
        # They share one address, so that each needs ports of its own.
        ports = min(100, (65536 - _FIRST_PORT) // max(1, len(self._hosts)))
        for number, (host, server) in enumerate(self._hosts):
            first = _FIRST_PORT + ports * number
            lines += [
                f"    {host.name}:",
                f"      ansible_host: {server.host}",
                f"      ansible_port: {server.port}",
                f"      orchestrator_slots: {host.slots}",
                f"      orchestrator_ports: {first}-{first + ports - 1}",
            ]
        return "\n".join(lines) + "\n"

    def __enter__(self) -> Self:
        for _, server in self._hosts:
            server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for _, server in self._hosts:
            server.stop()
        self._folder.cleanup()


def _host(number: int, url: str) -> LabHost:
    cpus, memory_mb, slots = _SIZES[number % len(_SIZES)]
    return LabHost(f"game-{number + 1:02}", url, cpus, memory_mb, slots)


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
    editor = GameBehaviour(window="Untitled - Notepad", cpu=0.01, gpu=0.0, memory_mb=20)
    install_game(computer, NOTEPAD, editor)
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
