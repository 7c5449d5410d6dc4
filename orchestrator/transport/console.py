"""Text that a Windows console wrote.

A shell is asked for codepage 65001; some programs write in the system's own
codepage all the same, which on Traditional Chinese servers is 950. Output may
begin with a byte order mark and break off inside a character.
"""

from __future__ import annotations

import codecs
import re

_CLIXML = "#< CLIXML"
_BLOCK = re.compile(r"#< CLIXML\s*(?:<Objs\b.*?(?:</Objs>|\Z))*", re.DOTALL)
_ERRORS = re.compile(
    r'<S\s+S="Error"[^>]*>(?P<line>[^<]*)'
    r'|<Obj\s+S="Error"[^>]*>.*?<ToString>(?P<text>[^<]*)</ToString>',
    re.DOTALL | re.IGNORECASE,
)
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_ENTITY = re.compile(r"&(?:#x([0-9A-Fa-f]{1,6})|#(\d{1,7})|(lt|gt|quot|apos|amp));")
_NAMED = {"lt": "<", "gt": ">", "quot": '"', "apos": "'", "amp": "&"}


def decoded(raw: bytes) -> str:
    """UTF-8, else UTF-16 where it begins with its mark, else codepage 950; what
    is none of them is replaced. A character that is cut off at the end is left out."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", "replace")
    for name in ("utf-8-sig", "cp950"):
        try:
            return codecs.getincrementaldecoder(name)("strict").decode(raw)
        except UnicodeDecodeError:
            continue
    return raw.decode("utf-8-sig", "replace")


def without_clixml(raw: bytes) -> str:
    """PowerShell's stderr in words: its error texts, progress and warnings left
    out, whatever number of serialised objects they came in."""
    text = decoded(raw).replace("\ufeff", "")
    if _CLIXML not in text:
        return text.strip()
    words = [_unescaped(found["line"] or found["text"] or "") for found in _ERRORS.finditer(text)]
    plain = _BLOCK.sub(" ", text)
    return " ".join((plain + " " + "".join(words)).split())


def _unescaped(text: str) -> str:
    """XML's entities, then CLIXML's own escapes (_x000D_), which are UTF-16 units."""
    text = _ENTITY.sub(_character, text)
    text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _character(match: re.Match[str]) -> str:
    if match[3]:
        return _NAMED[match[3]]
    number = int(match[1], 16) if match[1] else int(match[2])
    return chr(number) if number < 0x110000 else "\ufffd"
