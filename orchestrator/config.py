"""Every setting of the broker, its variable and its default, in one place.

The command line reads ``SETTINGS`` to make its options, so an option, its
``ORCHESTRATOR_…`` variable and its place in docs/settings.md cannot differ.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any


def _setting(
    default: object,
    text: str,
    *,
    minimum: int | None = None,
    maximum: int | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    metadata = {"help": text, "minimum": minimum, "maximum": maximum, "choices": choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Settings:
    """One frozen set of settings, parsed once. Times are in seconds."""

    inventory: Path | None = _setting(
        None, "The inventory: an Ansible YAML file, or a folder of them."
    )
    vault_password_file: Path | None = _setting(
        None, "File that holds the password of !vault values."
    )
    database: str = _setting(
        "sqlite:///orchestrator.sqlite3",
        "Database URL: sqlite:///FILE or mysql+pymysql://USER:PASSWORD@HOST/NAME.",
    )
    host: str = _setting("127.0.0.1", "Address to listen on; 0.0.0.0 for every interface.")
    port: int = _setting(5000, "Port to listen on.", minimum=0, maximum=65535)
    threads: int = _setting(
        64, "Requests answered at once; a start holds one until its game is ready.", minimum=1
    )
    strategy: str = _setting("least-loaded", "Placement strategy of requests that name none.")
    poll_interval: int = _setting(
        10, "Time between two polls of a server whose inventory names none.", minimum=1
    )
    poll_workers: int = _setting(
        64,
        "Servers polled at once; a quarter as many more for those that do not answer.",
        minimum=1,
    )
    poll_timeout: int = _setting(
        4, "How long a server may take to answer one question of a poll.", minimum=1
    )
    reconcile_interval: int = _setting(
        5, "Time between two looks at sessions whose outcome is unknown.", minimum=1
    )
    sweep_interval: int = _setting(
        3600, "Time between two looks at servers for launches that nobody wants.", minimum=60
    )
    orphans: str = _setting(
        "report",
        "What becomes of launches that the database does not know.",
        choices=("report", "end"),
    )
    orphan_age: int = _setting(
        600, "How long such a launch is left alone, for its session may be on the way.", minimum=60
    )
    call_timeout: int = _setting(
        30, "Hard limit of a script call, on top of what the script itself may wait.", minimum=1
    )
    connections_per_server: int = _setting(
        8, "WinRM connections kept to a server at most.", minimum=1
    )
    end_grace: int = _setting(
        10, "How long a game's window may take to close before it is ended by force.", minimum=0
    )
    stop_timeout: int = _setting(
        30,
        "How long requests under way may take when the broker stops; then calls are cut.",
        minimum=0,
    )
    metrics: str = _setting(
        "token",
        "Who may read /metrics: token, with role viewer; or open to whoever reaches the port.",
        choices=("token", "open"),
    )
    timezone: str = _setting(
        "UTC", "Time zone of the report schedule, and of sites whose inventory names none."
    )
    report_cron: str = _setting(
        "0 8 * * mon", "When reports are made, as a cron expression; empty for never."
    )
    report_language: str = _setting("en", "Language of reports.", choices=("en", "zh-TW"))
    report_targets: Path | None = _setting(
        None, "File of Apprise URLs that reports are sent to, one a line."
    )
    keep_reports: int = _setting(400, "Days that reports are kept.", minimum=1)
    keep_polls: int = _setting(7, "Days that every poll is kept.", minimum=1)
    keep_minutes: int = _setting(60, "Days that minutes of load are kept.", minimum=1)
    keep_hours: int = _setting(400, "Days that hours of load and health are kept.", minimum=1)
    keep_daily: int = _setting(3650, "Days that days of load are kept.", minimum=1)
    log_level: str = _setting(
        "info", "Least level that is logged.", choices=("debug", "info", "warning", "error")
    )
    log_format: str = _setting(
        "auto",
        "json, text, or auto: text on a terminal and json elsewhere.",
        choices=("auto", "json", "text"),
    )


@dataclass(frozen=True, slots=True)
class Option:
    """One setting as the command line and the docs show it."""

    name: str
    kind: type
    default: object
    help: str
    minimum: int | None
    maximum: int | None
    choices: tuple[str, ...] | None

    @property
    def flag(self) -> str:
        """Its option, such as ``--poll-interval``."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """Its environment variable, such as ``ORCHESTRATOR_POLL_INTERVAL``."""
        return "ORCHESTRATOR_" + self.name.upper()


_KINDS: dict[str, type] = {"int": int, "str": str, "Path | None": Path}

SETTINGS: dict[str, Option] = {
    f.name: Option(
        name=f.name,
        kind=_KINDS[str(f.type)],
        default=None if f.default is MISSING else f.default,
        help=f.metadata["help"],
        minimum=f.metadata["minimum"],
        maximum=f.metadata["maximum"],
        choices=f.metadata["choices"],
    )
    for f in fields(Settings)
}
"""By field name, in the order of the class."""
