"""Charts out of table cells: every mail program draws a cell's background."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_HEIGHT = 90
_WIDTH = 90
_LEAST_COLUMNS = 14
_EMPTY = "#e8ebef"


def bar(share: float | None, colour: str, label: str) -> str:
    """A horizontal bar of ``share`` in [0, 1], its label beside it."""
    text = (
        f'<td style="padding-left:6px;font-size:12px;white-space:nowrap" width="1">'
        f"{escape(label)}</td>"
    )
    if share is None:
        return f'<table role="presentation" cellpadding="0" cellspacing="0"><tr>{text}</tr></table>'
    filled = max(0, min(100, round(100 * share)))
    cells = ""
    for width, shade in ((filled, colour), (100 - filled, _EMPTY)):
        if width:
            cells += (
                f'<td width="{width}%" height="10" bgcolor="{shade}" style="background:{shade};'
                'font-size:1px;line-height:10px">&nbsp;</td>'
            )
    return (
        '<table role="presentation" cellpadding="0" cellspacing="0" border="0"><tr>'
        f'<td width="{_WIDTH}"><table role="presentation" width="{_WIDTH}" cellpadding="0" '
        f'cellspacing="0" border="0" style="width:{_WIDTH}px"><tr>{cells}</tr></table></td>'
        f"{text}</tr></table>"
    )


def columns(values: Sequence[tuple[str, float, str]], top: float) -> str:
    """Vertical bars, each with a label, a value and a colour; ``top`` is the full height."""
    if not values:
        return ""
    width = 100 / max(_LEAST_COLUMNS, len(values))
    bars = "".join(_column(value, colour, top, width) for _, value, colour in values)
    step = max(1, -(-len(values) // 10))
    labels = "".join(
        '<td align="center" style="font-size:9px;color:#5a6472;padding-top:3px;'
        'white-space:nowrap">'
        f"{escape(label) if place % step == 0 else '&nbsp;'}</td>"
        for place, (label, _, _) in enumerate(values)
    )
    empty = max(0, _LEAST_COLUMNS - len(values))
    room = f'<td colspan="{empty}">&nbsp;</td>' if empty else ""
    return (
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" '
        f'style="table-layout:fixed"><tr>{bars}{room}</tr><tr>{labels}{room}</tr></table>'
    )


def _column(value: float, colour: str, top: float, width: float) -> str:
    filled = max(1, min(_HEIGHT, round(_HEIGHT * value / top)))
    rest = _HEIGHT - filled
    empty = (
        f'<tr><td height="{rest}" bgcolor="#f3f5f7" style="height:{rest}px;background:#f3f5f7;'
        'font-size:1px;line-height:1px">&nbsp;</td></tr>'
        if rest
        else ""
    )
    return (
        f'<td width="{width:.2f}%" valign="bottom" style="padding:0 1px">'
        '<div align="center" style="font-size:9px;color:#5a6472">'
        f"{value:g}</div>"
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0">'
        f'{empty}<tr><td height="{filled}" bgcolor="{colour}" style="height:{filled}px;'
        f'background:{colour};font-size:1px;line-height:1px">&nbsp;</td></tr></table></td>'
    )
