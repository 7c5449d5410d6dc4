"""Kerberos tickets of our accounts, shared by all connections of an account.

Each connection asking the KDC anew would cost it two requests a server, and a
cache in a file is known to be corrupted by a few dozen writers. The tickets are
kept in a cache in memory, which libkrb5 guards itself, and are renewed before
they run out. A KDC that refused is not asked again for a while: a fleet's polls
with one wrong password would lock the account.
"""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import spnego

from orchestrator.domain.errors import CredentialsRefused, NoTicket, ServerCallError
from orchestrator.domain.server import Connection
from orchestrator.transport.refusals import CannotProve, of_kerberos, words

_RENEW_BEFORE = 600.0
_PAUSE = 15.0
_MISSING = (
    "Kerberos needs the package's extra: pip install 'game-orchestrator[kerberos]', "
    "and Debian's libkrb5-dev before it"
)
_STALE_KEYTAB = (
    "the keytab's key is not the account's, or missing: export the keytab anew "
    "(ansible_winrm_keytab)"
)

_Key = tuple[str, ...]
_lock = threading.Lock()


@dataclass(slots=True)
class _Account:
    """One account's cache. Its lock lets one of many connections fetch."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    cache: str = ""
    renew_at: float = 0.0
    generation: int = 0
    stamp: tuple[str, float] = ("", 0.0)
    refusal: tuple[str, type[ServerCallError]] = ("", NoTicket)
    refused_until: float = 0.0


_accounts: dict[_Key, _Account] = {}


def principal_of(settings: Connection) -> str:
    """The account as Kerberos names it."""
    if settings.user and settings.kerberos_realm and "@" not in settings.user:
        return f"{settings.user}@{settings.kerberos_realm}"
    return settings.user


def kerberos_credential(settings: Connection) -> Any:
    """What pyspnego takes as a credential: our cache, or the environment's where
    neither password nor keytab is given. Raises CannotProve."""
    try:
        import krb5
    except ImportError:
        raise CannotProve(_MISSING, NoTicket) from None
    principal = principal_of(settings)
    key = _key(settings, principal)
    with _lock:
        account = _accounts.setdefault(key, _Account())
    with account.lock:
        is_ours = bool(settings.password or settings.kerberos_keytab)
        if time.time() > account.renew_at or not (is_ours or account.stamp == _stamp(krb5)):
            if time.monotonic() < account.refused_until:
                message, kind = account.refusal
                raise CannotProve(message, kind)
            try:
                if is_ours:
                    _fetch(krb5, account, key, settings)
                else:
                    _copy(krb5, account, key)
            except krb5.Krb5Error as error:
                kind, message = of_kerberos(error) or (NoTicket, words(error))
                if kind is CredentialsRefused and settings.kerberos_keytab:
                    message = _STALE_KEYTAB
                message = f"no Kerberos ticket for {principal or 'the broker'}: {message}"
                account.refusal = message, kind
                account.refused_until = time.monotonic() + (_PAUSE if is_ours else 0)
                raise CannotProve(message, kind) from error
        return spnego.KerberosCCache(account.cache)


def _stamp(krb5: Any) -> tuple[str, float]:
    """Something that changes when the environment's cache does."""
    name = krb5.cc_default_name(krb5.init_context()).decode("utf-8", "replace")
    kind, _, path = name.rpartition(":")
    if kind not in {"", "FILE"}:
        return name, time.time() // _RENEW_BEFORE
    try:
        return name, Path(path).stat().st_mtime
    except OSError:
        return name, 0.0


def _key(settings: Connection, principal: str) -> _Key:
    secret = hashlib.sha256(settings.password.encode("utf-8", "replace")).hexdigest()
    forwardable = "forwardable" if settings.kerberos_delegation else ""
    return principal, secret, settings.kerberos_keytab or "", forwardable


def _fetch(krb5: Any, account: _Account, key: _Key, settings: Connection) -> None:
    """A ticket for the account, into a cache of its own: connections may still
    be reading the one before."""
    context = krb5.init_context()
    principal = krb5.parse_name_flags(context, key[0].encode())
    options = krb5.get_init_creds_opt_alloc(context)
    if settings.kerberos_delegation:
        krb5.get_init_creds_opt_set_forwardable(options, True)
    if settings.password:
        password = settings.password.encode("utf-8", "replace")
        ticket = krb5.get_init_creds_password(context, principal, options, password)
    else:
        keytab = krb5.kt_resolve(context, f"FILE:{settings.kerberos_keytab}".encode())
        ticket = krb5.get_init_creds_keytab(context, principal, options, keytab=keytab)
    _keep(krb5, context, account, key, ticket.client, [ticket])


def _copy(krb5: Any, account: _Account, key: _Key) -> None:
    """The tickets that somebody else gets, out of the environment's cache: its
    file would be written by every connection that asks for a server."""
    context = krb5.init_context()
    if key[0]:
        cache = krb5.cc_cache_match(context, krb5.parse_name_flags(context, key[0].encode()))
    else:
        cache = krb5.cc_default(context)
    account.stamp = _stamp(krb5)
    _keep(krb5, context, account, key, cache.principal, list(cache))


def _keep(
    krb5: Any, context: Any, account: _Account, key: _Key, client: Any, tickets: list[Any]
) -> None:
    generation = account.generation + 1
    digest = hashlib.sha256("\0".join(key).encode()).hexdigest()[:16]
    name = f"MEMORY:orchestrator-{digest}-{generation}"
    cache = krb5.cc_resolve(context, name.encode())
    krb5.cc_initialize(context, cache, client)
    for each in tickets:
        krb5.cc_store_cred(context, cache, each)
    account.cache, account.generation = name, generation
    ends = [float(each.times.endtime) for each in tickets if b"krbtgt/" in each.server.name]
    life = max(ends, default=0.0) - time.time()
    account.renew_at = time.time() + life - min(_RENEW_BEFORE, life / 5)
    if generation > 2:
        old = f"MEMORY:orchestrator-{digest}-{generation - 2}"
        krb5.cc_destroy(context, krb5.cc_resolve(context, old.encode()))
