"""What the programs on a lab server do: GamingAnywhere and a few games.

Games on the desktop draw their first frames after a moment; in session 0 they
never do, so a stream that waits for them never opens.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import PureWindowsPath

from orchestrator.lab.windows.computer import Computer
from orchestrator.lab.windows.gaconf import ConfError, check_conf, read_conf
from orchestrator.lab.windows.things import Process

GA_DIRECTORY = r"C:\GamingAnywhere\bin"
CONFIG_DIRECTORY = r"C:\GamingAnywhere\config"
PERIODIC = rf"{GA_DIRECTORY}\ga-server-periodic.exe"
EVENT_DRIVEN = rf"{GA_DIRECTORY}\ga-server-event-driven.exe"


@dataclass(frozen=True, slots=True)
class GameBehaviour:
    """How a game of the lab behaves. Times in seconds, shares in [0, 1]."""

    window: str = ""
    first_frame: float = 0.15
    streams: bool = True
    exits_after: float | None = None
    closes_on_request: bool = True
    child: str = ""
    exits_with_child: bool = False
    cpu: float = 0.12
    gpu: float = 0.2
    memory_mb: int = 900


_EXECUTABLE_32 = b"MZ".ljust(60, b"\0") + struct.pack("<i", 64) + b"PE\0\0" + b"\x4c\x01"
"""The header of a 32-bit program, as far as anybody here reads it."""


def install_game(computer: Computer, image: str, behaviour: GameBehaviour) -> None:
    """Put a game on the computer, or change how an installed one behaves."""
    computer.files.write(image, b"MZ")

    def start(machine: Computer, process: Process) -> None:
        process.window = behaviour.window
        process.closes_on_request = behaviour.closes_on_request
        process.cpu, process.gpu = behaviour.cpu, behaviour.gpu
        process.memory_mb = behaviour.memory_mb
        if behaviour.exits_after is not None:
            machine.later(behaviour.exits_after, lambda: machine.exit(process, 1))
        if behaviour.child:
            machine.later(0.05, lambda: _start_child(machine, process, behaviour.child))

    computer.programs[image.lower()] = start
    computer.programs[f"hooked:{image.lower()}"] = lambda machine, process: _stream(
        machine, process, behaviour
    )


def install_gaminganywhere(computer: Computer) -> None:
    """GamingAnywhere's two servers and the config that the others include."""
    for image, program in ((PERIODIC, _periodic), (EVENT_DRIVEN, _event_driven)):
        computer.files.write(image, _EXECUTABLE_32)
        computer.programs[image.lower()] = program
    computer.files.write(rf"{CONFIG_DIRECTORY}\common\server.conf", _COMMON)


def _start_child(machine: Computer, parent: Process, image: str) -> None:
    if parent.alive:
        machine.spawn(
            image,
            f'"{image}"',
            parent_pid=parent.pid,
            session_id=parent.session_id,
            owner=parent.owner,
        )
        machine.later(0.05, lambda: machine.exit(parent, 0))


def _stream(machine: Computer, process: Process, behaviour: GameBehaviour) -> None:
    """The hook in the game opens the stream with the first frames."""
    port = int(process.environment.get("GA_SERVER_PORT", "0"))
    if behaviour.streams and process.session_id != 0 and port:
        machine.later(behaviour.first_frame, lambda: _open(machine, process, port))


def _open(machine: Computer, process: Process, port: int) -> None:
    if process.alive and not machine.listen(process, port):
        machine.exit(process, -1)


def _periodic(machine: Computer, process: Process) -> None:
    """Captures a window that must be there when it starts, else exits with -1."""
    process.cpu, process.memory_mb = 0.05, 120
    try:
        conf = read_conf(machine.files, _config_argument(process))
        check_conf(conf)
        port = int(conf["server-port"], 0)
    except (ConfError, ValueError):
        machine.later(0.02, lambda: machine.exit(process, -1))
        return

    def look_for_window() -> None:
        wanted = conf.get("find-window-name")
        windows = {p.window for p in machine.processes() if p.session_id == process.session_id}
        if process.session_id == 0 or (wanted and wanted not in windows):
            machine.exit(process, -1)
        else:
            machine.later(0.1, lambda: _open(machine, process, port))

    machine.later(0.02, look_for_window)


def _event_driven(machine: Computer, process: Process) -> None:
    """Starts the game with its hook and exits at once, with 0 even where that failed."""
    try:
        conf = read_conf(machine.files, _config_argument(process))
        check_conf(conf)
        image = conf["game-exe"]
        if not conf.get("hook-type") or not machine.files.is_file(image):
            raise ConfError(image)
    except (ConfError, KeyError):
        process.stderr = "launch failed, err=2\r\n"
        machine.later(0.02, lambda: machine.exit(process, 0))
        return

    def launch() -> None:
        if not process.alive:
            return
        environment = {**process.environment, "GA_SERVER_PORT": conf["server-port"]}
        game = machine.spawn(
            image,
            f'"{image}"',
            parent_pid=process.pid,
            session_id=process.session_id,
            owner=process.owner,
            environment=environment,
        )
        process.stderr = f"launch success (pid={game.pid}).\r\n"
        hook = machine.programs.get(f"hooked:{image.lower()}")
        if hook is not None:
            hook(machine, game)
        machine.exit(process, 0)

    machine.later(0.05, launch)


def _config_argument(process: Process) -> str:
    """The one argument after the image, its quotes removed."""
    rest = process.command_line[len(process.image) + 2 :].strip()
    return str(PureWindowsPath(rest.strip('"')))


_COMMON = """# what every server config includes
[video]
video-fps = 30
video-encoder = libx264
[audio]
audio-bitrate = 128000
audio-samplerate = 44100
audio-channels = 2
audio-device-format = s16
audio-device-channel-layout = stereo
audio-codec-format = s16
audio-codec-channel-layout = stereo
[control]
control-enabled = true
control-port = 8555
control-proto = udp
"""
