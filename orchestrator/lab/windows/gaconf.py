"""How GamingAnywhere's programs read their config, for the model of them."""

from __future__ import annotations

from pathlib import PureWindowsPath

from orchestrator.lab.windows.files import Files

MANDATORY = (
    "server-port",
    "video-fps",
    "audio-bitrate",
    "audio-samplerate",
    "audio-channels",
    "audio-device-format",
    "audio-device-channel-layout",
    "audio-codec-format",
    "audio-codec-channel-layout",
)
_DEPTH = 16


class ConfError(Exception):
    """The program would refuse to start."""


def read_conf(files: Files, path: str, depth: int = 0) -> dict[str, str]:
    """The keys of a config, includes expanded in place, the last assignment winning."""
    content = files.read(path)
    if content is None or depth > _DEPTH:
        raise ConfError(f"cannot load {path}")
    found: dict[str, str] = {}
    for line in content.decode("utf-8").splitlines():
        key, separator, value = line.partition("=")
        key = key.strip()
        if not separator or key.startswith(("#", ";", "//")):
            continue
        value = _value(value)
        if key == "include":
            folder = PureWindowsPath(path).parent
            found |= read_conf(files, str(folder / value.replace("/", "\\")), depth + 1)
        elif value:
            found[key] = value
    return found


def check_conf(conf: dict[str, str]) -> None:
    """ConfError where a key is missing that the server cannot do without."""
    for key in MANDATORY:
        if key not in conf:
            raise ConfError(f"key {key} is missing")


def _value(text: str) -> str:
    for mark in ("#", ";"):
        text = text.split(mark, 1)[0]
    first = text.find("/")
    if first >= 0 and text[first : first + 2] == "//":
        text = text[:first]
    text = text.strip()
    return "" if text.startswith("[") else text
