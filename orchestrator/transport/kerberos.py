"""Kerberos tickets of our accounts, shared by all connections of an account.

Each connection asking the KDC anew would cost it two requests a server, and a
cache in a file is known to be corrupted by a few dozen writers. The tickets are
kept in a cache in memory, which libkrb5 guards itself, and are renewed before
they run out.
"""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass
from typing import Any

import spnego

from orchestrator.domain.server import Connection

_RENEW_BEFORE = 600.0
_lock = threading.Lock()


class NoTicket(Exception):
    """There is no ticket to be had; the text says why."""


@dataclass(slots=True)
class _Account:
    """One account's cache. Its lock lets one of many connections fetch."""

    lock: threading.Lock
    cache: str = ""
    until: float = 0.0
    generation: int = 0


_accounts: dict[tuple[str, str], _Account] = {}


def kerberos_credential(settings: Connection) -> Any:
    """What pyspnego takes as user: our cache, the environment's, or None where
    Kerberos is only one of two choices and cannot be had."""
    optional = settings.transport == "negotiate"
    principal = settings.user
    if optional and "@" not in principal:
        return None
    try:
        import krb5
    except ImportError:
        if optional:
            return None
        raise NoTicket(
            "Kerberos needs the package's extra: pip install 'game-orchestrator[kerberos]'"
        ) from None
    if not settings.password:
        return spnego.CredentialCache(principal)
    key = (principal, hashlib.sha256(settings.password.encode()).hexdigest())
    with _lock:
        account = _accounts.setdefault(key, _Account(threading.Lock()))
    with account.lock:
        if time.time() > account.until - _RENEW_BEFORE:
            try:
                _fetch(krb5, account, key, settings.password)
            except krb5.Krb5Error as error:
                if optional:
                    return None
                raise NoTicket(f"no Kerberos ticket for {principal}: {_words(error)}") from error
        return spnego.KerberosCCache(account.cache, principal)


def _fetch(krb5: Any, account: _Account, key: tuple[str, str], password: str) -> None:
    """A ticket for the account, into a cache of its own: connections may still
    be reading the one before."""
    context = krb5.init_context()
    principal = krb5.parse_name_flags(context, key[0].encode())
    options = krb5.get_init_creds_opt_alloc(context)
    ticket = krb5.get_init_creds_password(context, principal, options, password.encode("utf-8"))
    generation = account.generation + 1
    digest = hashlib.sha256("\0".join(key).encode()).hexdigest()[:16]
    name = f"MEMORY:orchestrator-{digest}-{generation}"
    cache = krb5.cc_resolve(context, name.encode())
    krb5.cc_initialize(context, cache, principal)
    krb5.cc_store_cred(context, cache, ticket)
    before, account.cache, account.generation = account.cache, name, generation
    account.until = float(ticket.times.endtime)
    if generation > 2 and before:
        old = f"MEMORY:orchestrator-{digest}-{generation - 2}"
        krb5.cc_destroy(context, krb5.cc_resolve(context, old.encode()))


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
