"""What may happen to a session on a server, as data: run through both models of Windows.

A scenario is a mode, what is so at its beginning, and steps. A step is a call
of one of our scripts with what its answer must say, or an event. What a step
expects is a part of what ``scenario_worlds.normal`` makes of the answer and of
what it left on the server; the two models must agree on all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MODES = ("periodic", "event-driven", "process", "sunshine")
GAME = r"C:\Games\Neverball\neverball.exe"
LAUNCHER = r"C:\Games\launcher.exe"
BIN = r"C:\GamingAnywhere\bin"
CONFIG = r"C:\GamingAnywhere\config\neverball.conf"
SUNSHINE = r"C:\Program Files\Sunshine\sunshine.exe"
LOGIN = {"port": 47989, "user": "sun", "password": "moon"}
PLAYER = "198.51.100.7"
IMAGES = {
    "periodic": "ga-server-periodic.exe",
    "event-driven": "neverball.exe",
    "process": "neverball.exe",
    "sunshine": "sunshine.exe",
}


@dataclass(frozen=True)
class Step:
    """One call; ``identity`` sends the launch that the first start answered."""

    script: str
    expected: Mapping[str, Any]
    changes: Mapping[str, Any] = field(default_factory=dict)
    identity: bool = False


@dataclass(frozen=True)
class Event:
    """Something that happens by itself."""

    what: str


@dataclass(frozen=True)
class Scenario:
    """``facts``: what differs from a server where all is well."""

    name: str
    mode: str
    steps: Sequence[Step | Event]
    facts: Mapping[str, Any] = field(default_factory=dict)


def order(mode: str) -> dict[str, Any]:
    """The parameters of Start-Game that the broker would send."""
    parameters: dict[str, Any] = {
        "SessionId": "s-1",
        "Mode": mode,
        "Executable": GAME,
        "StreamPort": 8554,
        "ControlPort": 8555,
        "ReadyTimeoutSec": 60,
        "Ready": "process" if mode == "process" else "port",
    }
    if mode == "sunshine":
        ports = {"StreamPort": 47989, "ControlPort": 47990}
        parameters |= {**ports, "AppName": "neverball", "Sunshine": LOGIN}
    elif mode != "process":
        parameters |= {"GaDirectory": BIN, "ConfigPath": CONFIG}
    return parameters


def start(expected: Mapping[str, Any], **changes: Any) -> Step:
    return Step("Start-Game", expected, changes)


def stop(expected: Mapping[str, Any], *, identity: bool = True, **changes: Any) -> Step:
    return Step("Stop-Game", expected, {"GraceSec": 0, "Sunshine": LOGIN, **changes}, identity)


def find(state: str | None) -> Step:
    states = [] if state is None else [state]
    return Step("Get-Launch", {"ok": True, "changed": False, "states": states})


def remove(how: str, **expected: Any) -> Step:
    wanted = {"ok": True, "how": how, "changed": True, **NOTHING, **expected}
    return Step("Remove-Launch", wanted, {"GraceSec": 0, "Sunshine": LOGIN})


def fails(code: str, **expected: Any) -> dict[str, Any]:
    return {"ok": False, "code": code, **expected}


def begins(mode: str, **expected: Any) -> dict[str, Any]:
    return {"ok": True, "changed": True, "image": IMAGES[mode], **expected}


def ends(how: str, **expected: Any) -> dict[str, Any]:
    return {"ok": True, "changed": True, "how": how, **NOTHING, **expected}


NOTHING: dict[str, Any] = {"tasks": [], "files": [], "rules": {}, "playing": []}
GONE = {"ok": True, "changed": False, "how": "already_gone", **NOTHING}
HOW = {"periodic": "forced", "event-driven": "forced", "process": "forced", "sunshine": "graceful"}
RULES: dict[str, dict[str, list[str]]] = {
    "periodic": {"TCP": ["8554"], "UDP": ["6970-7069", "8555"]},
    "event-driven": {"TCP": ["8554"], "UDP": ["6970-7069", "8555"]},
    "process": {"TCP": ["8554"]},
    "sunshine": {
        "TCP": ["47984", "47989", "48010"],
        "UDP": ["47998", "47999", "48000", "48002"],
    },
}


def rules(mode: str) -> dict[str, Any]:
    return {
        f"Orchestrator-s-1-{protocol}": ["Orchestrator", protocol, ports, PLAYER]
        for protocol, ports in RULES[mode].items()
    }


def whole_life(mode: str) -> Scenario:
    again = {"ok": True, "changed": False, "image": IMAGES[mode]}
    steps = [
        find(None),
        start(begins(mode, warnings=0)),
        find("running"),
        start(again),
        stop(ends(HOW[mode])),
        stop(GONE),
        find(None),
    ]
    return Scenario("start, start again, end, end again", mode, steps)


def of_every_mode(mode: str) -> list[Scenario]:
    refused = [
        Scenario(f"desktop {desktop}", mode, [start(fails(code, **NOTHING))], {"desktop": desktop})
        for desktop, code in (
            ("nobody", "desktop_missing"),
            ("locked", "desktop_locked"),
            ("disconnected", "desktop_disconnected"),
        )
    ]
    opened = [
        start(begins(mode, rules=rules(mode)), PlayerAddress=PLAYER),
        stop(ends(HOW[mode])),
    ]
    return [
        whole_life(mode),
        *refused,
        Scenario("a rule for the player", mode, opened),
        Scenario(
            "the rule is refused",
            mode,
            [start(fails("firewall_refused", **NOTHING), PlayerAddress=PLAYER)],
            {"denied": "New-NetFirewallRule"},
        ),
        Scenario(
            "the task is refused",
            mode,
            [start(fails("task_refused", **NOTHING))],
            {"denied": "Register-ScheduledTask"},
        ),
        Scenario(
            "the executable is missing",
            mode,
            [start(fails("executable_missing", **NOTHING), Executable=r"C:\Games\none.exe")],
        ),
        Scenario(
            "the working directory is missing",
            mode,
            [start(fails("working_directory_missing", **NOTHING), WorkingDirectory=r"C:\None")],
        ),
        Scenario(
            "an unknown parameter", mode, [start(fails("bad_parameter", **NOTHING), Fullscreen=1)]
        ),
        Scenario(
            "a name where an address should be",
            mode,
            [start(fails("bad_parameter", **NOTHING), PlayerAddress="player.example")],
        ),
        Scenario(
            "a wrong identity leaves a living session alone",
            mode,
            [
                start(begins(mode)),
                stop(fails("identity_mismatch"), CreatedAt="2001-01-01T00:00:00Z"),
                find("running"),
            ],
        ),
        Scenario("an orphan lives", mode, [start(begins(mode)), remove(HOW[mode])]),
    ]


STREAMING = [
    scenario
    for mode in ("periodic", "event-driven")
    for scenario in (
        Scenario(
            "the port never opens",
            mode,
            [start(fails("not_ready", **NOTHING), ReadyTimeoutSec=3)],
            {"streams": False},
        ),
        Scenario(
            "the port is taken",
            mode,
            [start(fails("port_in_use", **NOTHING))],
            {"port_taken": 8554},
        ),
        Scenario(
            "GamingAnywhere is missing",
            mode,
            [start(fails("ga_missing", **NOTHING), GaDirectory=r"C:\None")],
        ),
        Scenario(
            "the config is missing",
            mode,
            [start(fails("config_missing", **NOTHING), ConfigPath=r"C:\GamingAnywhere\none.conf")],
        ),
        Scenario("no port to wait for", mode, [start(fails("bad_parameter"), StreamPort=0)]),
    )
]

PROCESSES = [
    Scenario(
        "the process ends at once",
        "process",
        [start(fails("launch_failed", **NOTHING))],
        {"lives": 0.1},
    ),
    Scenario(
        "a launcher hands over",
        "process",
        [
            start(begins("process"), Executable=LAUNCHER),
            find("running"),
            stop(ends("forced", ended=["neverball.exe"])),
        ],
    ),
    Scenario(
        "its window closes",
        "process",
        [start(begins("process")), stop(ends("graceful", ended=["neverball.exe"]), GraceSec=10)],
        {"closes": True},
    ),
    Scenario(
        "its window does not close",
        "process",
        [start(begins("process")), stop(ends("forced", ended=["neverball.exe"]), GraceSec=1)],
    ),
    Scenario(
        "it ended by itself",
        "process",
        [
            start(begins("process")),
            Event("the game ends"),
            find("gone"),
            start(fails("launch_ended")),
            stop(ends("already_gone", ended=[])),
        ],
    ),
    Scenario(
        "its PID is another's by now",
        "process",
        [
            start(begins("process")),
            Event("the PID is reused"),
            find("gone"),
            stop(fails("identity_mismatch", tasks=[], files=[], playing=[])),
            stop(GONE, identity=False),
        ],
    ),
    Scenario(
        "an orphan whose PID is another's by now",
        "process",
        [start(begins("process")), Event("the PID is reused"), remove("already_gone", ended=[])],
    ),
    Scenario(
        "an orphan is dead",
        "process",
        [start(begins("process")), Event("the game ends"), remove("already_gone", ended=[])],
    ),
    Scenario(
        "an end without identity",
        "process",
        [start(begins("process")), stop(ends("forced"), identity=False)],
    ),
]

SECOND = {"SessionId": "s-2", "StreamPort": 8556, "ControlPort": 8557}
BESIDE = [
    Scenario(
        "two sessions have their own ports and files",
        "event-driven",
        [
            start(begins("event-driven", tasks=["s-1"]), PlayerAddress=PLAYER),
            start(begins("event-driven", tasks=["s-1", "s-2"]), **SECOND),
            Step("Get-Launch", {"states": ["running", "running"]}, {"SessionId": None}),
            stop(
                {
                    **ends("forced", ended=["neverball.exe"]),
                    "tasks": ["s-2"],
                    "playing": ["neverball.exe"],
                    "files": [
                        r"C:\GamingAnywhere\config\neverball.s-2.conf",
                        r"C:\ProgramData\Orchestrator\s-2.json",
                    ],
                }
            ),
            stop(ends("forced"), identity=False, SessionId="s-2"),
        ],
    ),
    Scenario(
        "the second session's port is the first one's",
        "event-driven",
        [
            start(begins("event-driven")),
            start(fails("port_in_use", tasks=["s-1"]), **{**SECOND, "StreamPort": 8554}),
            find("running"),
        ],
    ),
]

HOSTED = [
    Scenario(
        "Sunshine does not run",
        "sunshine",
        [start(fails("sunshine_unreachable", **NOTHING))],
        {"sunshine": "stopped"},
    ),
    Scenario(
        "Sunshine refuses the password",
        "sunshine",
        [start(fails("sunshine_refused", **NOTHING), Sunshine={**LOGIN, "password": "x"})],
    ),
    Scenario("no login", "sunshine", [start(fails("bad_parameter", **NOTHING), Sunshine=None)]),
    Scenario("no app", "sunshine", [start(fails("bad_parameter", **NOTHING), AppName=None)]),
    Scenario(
        "the app is listed and taken out again",
        "sunshine",
        [
            start(begins("sunshine", apps=["Desktop", "neverball"])),
            Event("a client starts the app"),
            stop(ends("graceful", ended=["neverball.exe"], apps=["Desktop"])),
        ],
    ),
    Scenario(
        "an app that was there stays",
        "sunshine",
        [
            start(begins("sunshine", apps=["Desktop"]), AppName="Desktop"),
            stop(ends("graceful", apps=["Desktop"])),
        ],
    ),
    Scenario(
        "Sunshine is restarted",
        "sunshine",
        [
            start(begins("sunshine")),
            Event("Sunshine is restarted"),
            find("gone"),
            start(fails("launch_ended")),
            stop(ends("already_gone", apps=["Desktop"])),
        ],
    ),
]

SCENARIOS: list[Scenario] = [
    *(scenario for mode in MODES for scenario in of_every_mode(mode)),
    *STREAMING,
    *PROCESSES,
    *BESIDE,
    *HOSTED,
]
