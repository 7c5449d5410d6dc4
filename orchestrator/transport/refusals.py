"""Why we could not log in, in the words of an admin who has to change something.

Sources: RFC 4120 7.5.9 and MIT's krb5_err.et for Kerberos, [MS-ERREF] 2.3 for
the NTSTATUS that CredSSP carries. A plain 401 says nothing of the reason.
"""

from __future__ import annotations

from typing import Any

from orchestrator.domain.errors import (
    AccountBlocked,
    ClockSkew,
    CredentialsRefused,
    KdcUnreachable,
    NoTicket,
    ServerCallError,
)

_KRB5 = -1765328384
_SKEW = (
    "the clocks of the broker and of the Kerberos KDC are more than five minutes out of "
    "step: set the broker's machine by the domain's time (NTP)"
)
_CACHE = (
    "there is no ticket in the credential cache (KRB5CCNAME): run kinit for the broker's "
    "user, or give ansible_password or ansible_winrm_keytab"
)
_REALM = (
    "no KDC is known for the account's realm: write the realm in capitals (name@REALM), "
    "and its KDC in krb5.conf or DNS"
)
_UNREACHABLE = (
    "no Kerberos KDC of the realm answers: look at krb5.conf, DNS and port 88 of the "
    "domain controllers"
)

_OF_KERBEROS: dict[int, tuple[type[ServerCallError], str]] = {
    6: (
        CredentialsRefused,
        "the Kerberos KDC knows no such account: write ansible_user as name@REALM",
    ),
    7: (
        NoTicket,
        "the Kerberos KDC knows no service of the server's name: write in "
        "ansible_winrm_kerberos_hostname_override the name that 'setspn -L' shows",
    ),
    12: (AccountBlocked, "the domain's policy does not let the account log in now or here"),
    14: (NoTicket, "the KDC and the broker share no kind of encryption: look at krb5.conf"),
    18: (AccountBlocked, "the account is locked, disabled or expired: have it unlocked"),
    23: (AccountBlocked, "the account's password has expired: set a new one"),
    24: (CredentialsRefused, "the Kerberos KDC rejected the account's password"),
    31: (CredentialsRefused, "the Kerberos KDC rejected the account's password"),
    32: (NoTicket, "the ticket in the credential cache has expired: run kinit again"),
    37: (ClockSkew, _SKEW),
    68: (NoTicket, _REALM),
    141: (NoTicket, _CACHE),
    154: (NoTicket, _REALM),
    156: (KdcUnreachable, _UNREACHABLE),
    195: (NoTicket, _CACHE),
    203: (NoTicket, "the keytab holds no key of the account: look at ansible_winrm_keytab"),
    210: (CredentialsRefused, "the Kerberos KDC rejected the account's password"),
    220: (KdcUnreachable, _UNREACHABLE),
    224: (NoTicket, _REALM),
}
"""By the code's place in MIT's table."""

_OF_NT: dict[int, tuple[type[ServerCallError], str]] = {
    0xC0000064: (CredentialsRefused, "the server knows no such account"),
    0xC000006A: (CredentialsRefused, "the server rejected user or password"),
    0xC000006D: (CredentialsRefused, "the server rejected user or password"),
    0x8009030C: (CredentialsRefused, "the server rejected user or password"),
    0xC000006E: (AccountBlocked, "a restriction of the account keeps it from logging in"),
    0xC000006F: (AccountBlocked, "the account may not log in at this hour"),
    0xC0000070: (AccountBlocked, "the account may not log in from this machine"),
    0xC0000071: (AccountBlocked, "the account's password has expired: set a new one"),
    0xC0000072: (AccountBlocked, "the account is disabled: have it enabled"),
    0xC0000133: (
        ClockSkew,
        "the server's clock and the domain controller's are out of step: set the server's time",
    ),
    0xC000015B: (
        AccountBlocked,
        "the account lacks the right to log on to the server from the network",
    ),
    0xC0000193: (AccountBlocked, "the account has expired: have its end date moved"),
    0xC0000224: (AccountBlocked, "the account's password has to be changed first"),
    0xC0000234: (AccountBlocked, "the account is locked: have it unlocked"),
}
"""By NTSTATUS, or SSPI's own status."""


class LoginFailed(Exception):
    """We are not logged in; ``kind`` is the error of ours that says so."""

    def __init__(self, message: str, kind: type[ServerCallError] = CredentialsRefused) -> None:
        super().__init__(message)
        self.kind = kind


class Refused(LoginFailed):
    """The server does not accept the credentials, or not this way in."""


class CannotProve(LoginFailed):
    """There is nothing to prove ourselves with: no ticket, no library, no KDC."""


def of_kerberos(error: BaseException) -> tuple[type[ServerCallError], str] | None:
    """What an error of libkrb5 or GSS-API means, None where it is neither's."""
    for each in _causes(error):
        code = getattr(each, "err_code", None)
        if code is None:
            code = getattr(each, "min_code", None)
        if isinstance(code, int):
            found = _OF_KERBEROS.get(_signed(code) - _KRB5)
            if found is not None:
                return found
    return None


def of_status(error: BaseException) -> tuple[type[ServerCallError], str] | None:
    """What the NTSTATUS in CredSSP's answer means."""
    for each in _causes(error):
        code = getattr(each, "winerror", None)
        if isinstance(code, int):
            status = code & 0xFFFFFFFF
            return _OF_NT.get(
                status, (CredentialsRefused, f"the server refused the login (0x{status:08X})")
            )
    return None


def words(error: BaseException) -> str:
    """An error's own text on one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def _causes(error: BaseException | None) -> list[Any]:
    found: list[Any] = []
    while error is not None and error not in found:
        found.append(error)
        error = getattr(error, "base_error", None) or error.__cause__
    return found


def _signed(code: int) -> int:
    code &= 0xFFFFFFFF
    return code - (1 << 32) if code >= 1 << 31 else code
