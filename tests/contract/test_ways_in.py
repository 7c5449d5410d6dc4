"""Every way that admins log in by, and what is said where it does not work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from orchestrator.bootstrap import default_scripts
from orchestrator.domain.errors import (
    AccountBlocked,
    ClockSkew,
    CredentialsRefused,
    KdcUnreachable,
    LoginNotOffered,
    NoTicket,
    Outcome,
    ProtocolViolation,
    ServerCallError,
    ServerUnreachable,
    TlsUntrusted,
)
from orchestrator.domain.server import Connection
from orchestrator.lab import LabServer, build_computer
from orchestrator.lab.auth import ConnectionAuth
from orchestrator.lab.certificate import Authority
from orchestrator.lab.http import HttpReply
from orchestrator.lab.tls import ClientCertificates
from orchestrator.lab.windows import WindowsMachine
from orchestrator.transport import ScriptLibrary, WinrmGateway
from tests.contract.kdc import PASSWORD, REALM, USER, Kdc, free_port
from tests.contract.wiretaps import Plain, Proxy, Silence, TlsRelay

USERS = {USER: PASSWORD, f"{USER}@{REALM}": PASSWORD, "robot": "-", "brief": "-", "short": "-"}
EVERY = ("negotiate", "kerberos", "credssp", "certificate", "basic")
WQL = "SELECT Name FROM Win32_ComputerSystem"
LOCALHOST = [x509.DNSName("localhost")]


class Files:
    """Certificates: of the server, of who may log in by one, and of others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority("Servers' CA")
        self.ca = self.write("ca.pem", self.authority.pem)
        self.server = self.write("server.pem", self.authority.issue("server", hosts=LOCALHOST))
        clients = Authority("Clients' CA")
        self.client_ca = self.write("client-ca.pem", clients.pem)
        self.client = self.write("client.pem", clients.issue("broker"))
        self.unmapped = self.write("unmapped.pem", clients.issue("nobody"))
        self.stale = self.write("stale.pem", clients.issue("broker", valid=(-9, -1)))
        self.strange = self.write("strange.pem", Authority("Another").issue("broker"))
        self.locked = self.write("locked.pem", _with_passphrase(clients.issue("broker")))

    def write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    @property
    def clients(self) -> ClientCertificates:
        return ClientCertificates(self.client_ca, {"broker": USER})


def _with_passphrase(pem: bytes) -> bytes:
    key = serialization.load_pem_private_key(pem, None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    return locked + pem[pem.index(b"-----BEGIN CERT") :]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("certificates"))


class Labs:
    """Servers of several settings, and calls to them."""

    def __init__(self, files: Files, keytab: Path | None, stack: ExitStack) -> None:
        self._files = files
        self._keytab = keytab
        self._stack = stack
        self._machine = WindowsMachine(build_computer("GAME-01"))
        self._servers: dict[str, LabServer] = {}

    def server(self, kind: str) -> LabServer:
        """Started when it is first wanted."""
        if kind not in self._servers:
            server = LabServer(self._machine, USERS, keytab=self._keytab, **self._options(kind))
            self._servers[kind] = self._stack.enter_context(server)
        return self._servers[kind]

    def _options(self, kind: str) -> dict[str, Any]:
        files, tls = self._files, {"certificate": self._files.server, "schemes": EVERY}
        return {
            "http": {"schemes": ("negotiate", "kerberos", "credssp")},
            "open": {"schemes": ("basic",), "allow_unencrypted": True},
            "https": {**tls, "clients": files.clients},
            "strict": {
                **tls,
                "clients": replace(files.clients, late=False),
                "binding_level": "strict",
            },
            "forgetful": {**tls, "forgets_tickets": True},
            "kerberos only": {"schemes": ("kerberos",)},
            "ntlm only": {"schemes": ("ntlm",)},
        }[kind]

    def gateway(self, kind: str, **changes: Any) -> WinrmGateway:
        """A gateway that knows the server as ``a``."""
        server = self.server(kind)
        server.stats.clear()
        scheme = "https" if server.url.startswith("https") else "http"
        plain = Connection("localhost", server.port, scheme, "ntlm", USER, PASSWORD)
        options = {"ca_file": str(self._files.ca), **_paths(changes, self._files)}
        connection = replace(plain, **options)
        return WinrmGateway(
            {"a": connection},
            ScriptLibrary(default_scripts()),
            call_timeout=20,
            probe_timeout=20,
        )

    def refused(self, kind: str, **changes: Any) -> ServerCallError:
        """The error of a call that must fail without an effect."""
        gateway = self.gateway(kind, **changes)
        try:
            with pytest.raises(ServerCallError) as caught:
                gateway.query("a", WQL)
        finally:
            gateway.close()
        assert caught.value.outcome is Outcome.NOT_EXECUTED
        assert PASSWORD not in str(caught.value)
        return caught.value


def _paths(changes: dict[str, Any], files: Files) -> dict[str, Any]:
    names = ("client_certificate", "client_key")
    return {
        name: str(files.folder / value) if name in names else value
        for name, value in changes.items()
    }


@pytest.fixture(scope="module")
def labs(files: Files) -> Iterator[Labs]:
    with ExitStack() as stack:
        yield Labs(files, None, stack)


@pytest.fixture(scope="module")
def domain_labs(files: Files, kdc: Kdc) -> Iterator[Labs]:
    with ExitStack() as stack:
        yield Labs(files, kdc.keytab, stack)


def prove(labs: Labs, kind: str, changes: dict[str, Any], legs: int, sealed: bool) -> None:
    """Polls and a script over kept connections, each logged in to once."""
    gateway = labs.gateway(kind, **changes)
    try:
        assert gateway.query("a", WQL) == [{"Name": "GAME-01"}]
        assert gateway.query("a", WQL) == [{"Name": "GAME-01"}]
        assert gateway.find_launches("a", "三國志-" * 2500) == []
    finally:
        gateway.close()
    stats = labs.server(kind).stats
    messages = stats["requests"] - 2 * legs
    assert stats["connections"] == 2
    assert stats["sealed"] == (messages if sealed else 0)
    if legs:
        assert stats["auth_legs"] == 2 * legs


@pytest.mark.parametrize(
    ("kind", "changes", "legs", "sealed"),
    [
        ("http", {"transport": "ntlm"}, 2, True),
        ("http", {"transport": "negotiate"}, 2, True),
        ("http", {"transport": "credssp"}, 5, True),
        ("http", {"transport": "credssp", "credssp_mechanism": "ntlm"}, 5, True),
        ("open", {"transport": "basic"}, 0, False),
        ("https", {"transport": "ntlm"}, 2, False),
        ("https", {"transport": "ntlm", "message_encryption": "always"}, 2, True),
        ("https", {"transport": "ntlm", "channel_binding": False}, 2, False),
        ("https", {"transport": "negotiate"}, 2, False),
        ("https", {"transport": "credssp"}, 5, False),
        ("https", {"transport": "credssp", "message_encryption": "always"}, 5, True),
        ("https", {"transport": "basic"}, 0, False),
        ("https", {"transport": "certificate", "client_certificate": "client.pem"}, 0, False),
        ("strict", {"transport": "ntlm"}, 2, False),
        ("strict", {"transport": "negotiate"}, 2, False),
        ("strict", {"transport": "credssp"}, 5, False),
        ("strict", {"transport": "certificate", "client_certificate": "client.pem"}, 0, False),
    ],
)
def test_a_way_in_carries_polls_and_scripts(
    labs: Labs, kind: str, changes: dict[str, Any], legs: int, sealed: bool
) -> None:
    prove(labs, kind, changes, legs, sealed)


@pytest.mark.kerberos
@pytest.mark.parametrize(
    ("kind", "changes", "legs", "sealed"),
    [
        ("http", {"transport": "kerberos"}, 1, True),
        ("http", {"transport": "kerberos", "kerberos_hostname": "game-01.games.test"}, 1, True),
        ("http", {"transport": "kerberos", "kerberos_realm": REALM}, 1, True),
        ("http", {"transport": "kerberos", "kerberos_delegation": True}, 1, True),
        ("http", {"transport": "negotiate", "user": f"{USER}@{REALM}"}, 1, True),
        (
            "http",
            {
                "transport": "negotiate",
                "user": f"{USER}@{REALM}",
                "kerberos_hostname": "not-in-the-domain.games.test",
            },
            2,
            True,
        ),
        ("http", {"transport": "credssp", "user": f"{USER}@{REALM}"}, 5, True),
        ("http", {"transport": "credssp", "credssp_mechanism": "kerberos"}, 5, True),
        ("https", {"transport": "kerberos"}, 1, False),
        ("https", {"transport": "kerberos", "message_encryption": "always"}, 1, True),
        ("strict", {"transport": "kerberos"}, 1, False),
        ("strict", {"transport": "negotiate", "user": f"{USER}@{REALM}"}, 1, False),
    ],
)
def test_a_way_in_by_kerberos_carries_polls_and_scripts(
    domain_labs: Labs, realm: Kdc, kind: str, changes: dict[str, Any], legs: int, sealed: bool
) -> None:
    prove(domain_labs, kind, changes, legs, sealed)


@pytest.mark.kerberos
def test_a_keytab_or_the_environments_cache_stand_for_a_password(
    domain_labs: Labs, realm: Kdc
) -> None:
    keytab = {"user": "robot", "password": "", "kerberos_keytab": str(realm.robots_keytab)}
    prove(domain_labs, "http", {"transport": "kerberos", **keytab}, 1, True)
    realm.kinit()
    for user in (USER, f"{USER}@{REALM}", ""):
        manual = {"transport": "kerberos", "user": user, "password": ""}
        prove(domain_labs, "http", manual, 1, True)


@pytest.mark.kerberos
def test_a_server_that_offers_only_kerberos_is_asked_by_that_name(
    domain_labs: Labs, realm: Kdc
) -> None:
    gateway = domain_labs.gateway("kerberos only", transport="kerberos")
    assert gateway.query("a", WQL) == [{"Name": "GAME-01"}]
    gateway.close()
    assert domain_labs.server("kerberos only").stats["sealed"] == 1
    error = domain_labs.refused("kerberos only", transport="ntlm")
    assert isinstance(error, LoginNotOffered)


def test_a_server_that_offers_only_ntlm_is_asked_by_that_name(labs: Labs) -> None:
    gateway = labs.gateway("ntlm only")
    assert gateway.query("a", WQL) == [{"Name": "GAME-01"}]
    gateway.close()
    assert labs.server("ntlm only").stats["sealed"] == 1


@pytest.mark.kerberos
@pytest.mark.parametrize("transport", ["kerberos", "negotiate"])
def test_a_server_that_forgets_tickets_is_shown_one_with_each_request(
    domain_labs: Labs, realm: Kdc, transport: str
) -> None:
    login = {"transport": transport, "user": f"{USER}@{REALM}"}
    gateway = domain_labs.gateway("forgetful", **login)
    for _ in range(3):
        assert gateway.query("a", WQL) == [{"Name": "GAME-01"}]
    gateway.close()
    stats = domain_labs.server("forgetful").stats
    # Logged in, refused once, then three requests with a ticket each.
    assert (stats["connections"], stats["requests"], stats["auth_legs"]) == (1, 5, 4)


@pytest.mark.kerberos
@pytest.mark.parametrize("password", [PASSWORD, ""], ids=["ours", "the environment's"])
def test_two_hundred_connections_share_one_ticket(
    domain_labs: Labs, realm: Kdc, password: str
) -> None:
    server = domain_labs.server("http")
    realm.kinit()
    shared = Connection(
        "localhost", server.port, "http", "kerberos", f"{USER}@{REALM}", password, read_timeout=60
    )
    cache = (realm.folder / "ccache").read_bytes()
    names = [f"s-{number:03}" for number in range(200)]
    gateway = WinrmGateway(
        dict.fromkeys(names, shared), ScriptLibrary(default_scripts()), probe_timeout=60
    )
    before = realm.first_tickets()
    together = threading.Barrier(50)

    def ask(name: str) -> object:
        together.wait(60)
        return gateway.query(name, WQL)

    try:
        with ThreadPoolExecutor(50) as pool:
            assert list(pool.map(ask, names)) == [[{"Name": "GAME-01"}]] * 200
            server.stats.clear()
            assert list(pool.map(ask, names)) == [[{"Name": "GAME-01"}]] * 200
    finally:
        gateway.close()
    assert server.stats["requests"] == server.stats["sealed"] == 200
    assert realm.first_tickets() - before <= 1
    assert (realm.folder / "ccache").read_bytes() == cache


@pytest.mark.kerberos
def test_a_ticket_is_renewed_before_it_runs_out(domain_labs: Labs, realm: Kdc) -> None:
    answered = 0
    for _ in range(200):
        gateway = domain_labs.gateway("http", transport="kerberos", user="brief")
        # On a slow machine it may run out between getting and showing it.
        with suppress(NoTicket, CredentialsRefused):
            answered += len(gateway.query("a", WQL))
        gateway.close()
        if realm.first_tickets("brief") > 1 and answered:
            return
        threading.Event().wait(0.2)
    raise AssertionError("the ticket was not renewed")


@pytest.mark.parametrize(
    ("kind", "changes", "error", "text"),
    [
        ("http", {"password": "wrong"}, CredentialsRefused, "locked or disabled account looks"),
        ("http", {"user": "nobody"}, CredentialsRefused, "rejected user or password"),
        (
            "http",
            {"transport": "credssp", "password": "wrong"},
            CredentialsRefused,
            "the server rejected user or password",
        ),
        ("https", {"transport": "basic", "password": "x"}, CredentialsRefused, "rejected user"),
        (
            "http",
            {"transport": "basic"},
            LoginNotOffered,
            "does not offer Basic, only CredSSP, Kerberos, Negotiate: change ansible_winrm_tr",
        ),
        ("open", {}, LoginNotOffered, "does not offer Negotiate or NTLM, only Basic"),
        ("open", {"transport": "credssp"}, LoginNotOffered, "does not offer CredSSP"),
        (
            "https",
            {"transport": "certificate", "client_certificate": "unmapped.pem"},
            CredentialsRefused,
            "no account for the client certificate",
        ),
        (
            "https",
            {"transport": "certificate", "client_certificate": "strange.pem"},
            CredentialsRefused,
            "does not take the client certificate",
        ),
        (
            "strict",
            {"transport": "certificate", "client_certificate": "stale.pem"},
            CredentialsRefused,
            "does not take the client certificate",
        ),
        (
            "https",
            {"transport": "certificate", "client_certificate": "locked.pem"},
            CredentialsRefused,
            "without a passphrase",
        ),
        (
            "https",
            {"transport": "certificate", "client_certificate": "none.pem"},
            CredentialsRefused,
            "No such file",
        ),
        (
            "https",
            {"ca_file": None},
            TlsUntrusted,
            "nobody we trust .* ansible_winrm_ca_trust_path",
        ),
        ("https", {"ca_file": "/no/such"}, TlsUntrusted, "/no/such in ansible_winrm_ca_trust_path"),
        ("https", {"host": "127.0.0.1"}, TlsUntrusted, "is not for 127.0.0.1: write the name"),
        ("https", {"fingerprint": "0" * 64}, TlsUntrusted, "not the pinned one, its SHA-256 is"),
    ],
)
def test_a_way_that_is_closed_says_what_to_change(
    labs: Labs, kind: str, changes: dict[str, Any], error: type[ServerCallError], text: str
) -> None:
    refused = labs.refused(kind, **changes)
    assert type(refused) is error
    assert refused.code == error.code
    assert re.search(text, str(refused)), str(refused)


@pytest.mark.kerberos
@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"password": "wrong"}, CredentialsRefused, "rejected the account's password"),
        ({"user": "nobody"}, CredentialsRefused, "knows no such account"),
        ({"user": "locked"}, AccountBlocked, "locked, disabled or expired"),
        ({"user": "expired"}, AccountBlocked, "password has expired"),
        ({"user": f"{USER}@ELSEWHERE.TEST"}, NoTicket, "realm in capitals"),
        ({"kerberos_hostname": "other.games.test"}, NoTicket, "kerberos_hostname_override"),
        ({"password": "", "user": "robot"}, NoTicket, "run kinit"),
        ({"password": "", "kerberos_keytab": "/no/keys"}, CredentialsRefused, "export the keytab"),
    ],
)
def test_kerberos_says_what_to_change(
    domain_labs: Labs,
    realm: Kdc,
    changes: dict[str, Any],
    error: type[ServerCallError],
    text: str,
) -> None:
    refused = domain_labs.refused("http", transport="kerberos", **changes)
    assert type(refused) is error
    assert text in str(refused)
    assert domain_labs.server("http").stats["requests"] == 0


@pytest.mark.kerberos
def test_clocks_out_of_step_and_dead_kdcs_are_told_apart(
    domain_labs: Labs, realm: Kdc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRB5_CONFIG", str(realm.start_out_of_step()))
    # Spelled as no other test does it, for a ticket in hand needs no KDC.
    user = f"{USER}@{REALM}"
    skewed = domain_labs.refused("http", transport="kerberos", user=user, kerberos_delegation=True)
    assert type(skewed) is ClockSkew
    assert "out of step: set the broker's machine" in str(skewed)
    monkeypatch.setenv("KRB5_CONFIG", str(realm.configuration("dead.conf", free_port())))
    dead = domain_labs.refused("http", transport="kerberos", password="dead")
    assert type(dead) is KdcUnreachable
    assert dead.retryable
    assert "port 88" in str(dead)


@pytest.mark.kerberos
def test_a_kept_connection_outlives_its_ticket(domain_labs: Labs, realm: Kdc) -> None:
    gateway = domain_labs.gateway("http", transport="kerberos", user="short")
    stats = domain_labs.server("http").stats
    assert gateway.query("a", WQL) == [{"Name": "GAME-01"}]
    connections, legs = stats["connections"], stats["auth_legs"]
    for _ in range(200):
        assert gateway.query("a", WQL) == [{"Name": "GAME-01"}]
        if stats["connections"] > connections:
            break
        threading.Event().wait(0.2)
    gateway.close()
    assert stats["connections"] > connections
    assert stats["auth_legs"] > legs


_ASK_ONCE = """
import sys
from orchestrator.bootstrap import default_scripts
from orchestrator.domain.errors import ServerCallError
from orchestrator.domain.server import Connection
from orchestrator.transport import ScriptLibrary, WinrmGateway

port, user, password, wql = sys.argv[1:]
server = Connection("localhost", int(port), "http", "kerberos", user, password)
gateway = WinrmGateway({"a": server}, ScriptLibrary(default_scripts()))
try:
    gateway.query("a", wql)
except ServerCallError as error:
    print(error.code, error.outcome.value, error)
gateway.close()
"""


@pytest.mark.kerberos
@pytest.mark.parametrize("password", ["unasked", ""])
def test_a_broken_krb5_conf_is_named(domain_labs: Labs, tmp_path: Path, password: str) -> None:
    """In a process of its own: the lab's credentials, freed by its threads when
    they like, need a configuration that can be read."""
    broken = tmp_path / "krb5.conf"
    broken.write_text("[libdefaults]\nnonsense\n")
    port = str(domain_labs.server("http").port)
    asked = subprocess.run(
        [sys.executable, "-c", _ASK_ONCE, port, USER, password, WQL],
        env={**os.environ, "KRB5_CONFIG": str(broken)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert asked.stdout.startswith(f"{NoTicket.code} {Outcome.NOT_EXECUTED.value} ")
    assert "configuration file" in asked.stdout


@pytest.mark.kerberos
def test_a_wrong_password_is_tried_once_by_a_whole_fleet(domain_labs: Labs, realm: Kdc) -> None:
    before = realm.refusals("robot")
    for _ in range(5):
        wrong = {"transport": "kerberos", "user": "robot", "password": "wrong"}
        assert type(domain_labs.refused("http", **wrong)) is CredentialsRefused
    assert realm.refusals("robot") == before + 1


@pytest.mark.kerberos
def test_a_silent_kdc_holds_a_call_no_longer_than_its_deadline(
    domain_labs: Labs, realm: Kdc, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = domain_labs.server("http")
    quiet = Connection("localhost", server.port, "http", "kerberos", USER, "unheard")
    with Silence() as silence:
        tcp_only = realm.configuration("silent.conf", silence.port, "udp_preference_limit = 1")
        monkeypatch.setenv("KRB5_CONFIG", str(tcp_only))
        gateway = WinrmGateway({"a": quiet}, ScriptLibrary(default_scripts()), probe_timeout=0.5)
        with pytest.raises(KdcUnreachable, match="did not answer in time"):
            gateway.query("a", WQL)
        gateway.close()
    for thread in threading.enumerate():
        if thread.name == "kerberos":
            thread.join(60)
            assert not thread.is_alive()


def test_a_pinned_certificate_is_enough_whatever_its_name_and_dates(
    labs: Labs, files: Files
) -> None:
    stale = Authority("Gone").issue("long ago", valid=(-9, -1), digest=hashes.SHA384())
    path = files.write("long-ago.pem", stale)
    found = x509.load_pem_x509_certificate(stale).fingerprint(hashes.SHA256()).hex()
    machine = WindowsMachine(build_computer("GAME-02"))
    with LabServer(machine, USERS, certificate=path, binding_level="strict") as server:
        pinned = Connection(
            "127.0.0.1", server.port, "https", "ntlm", USER, PASSWORD, fingerprint=found
        )
        gateway = WinrmGateway({"a": pinned}, ScriptLibrary(default_scripts()))
        assert gateway.query("a", WQL) == [{"Name": "GAME-02"}]
        gateway.close()


def test_an_expired_certificate_is_told_from_an_untrusted_one(files: Files) -> None:
    for name, valid, text in (
        ("past", (-9, -1), "has expired: renew it"),
        ("future", (1, 9), "is not valid yet: look at the clocks"),
    ):
        issued = files.authority.issue(name, hosts=LOCALHOST, valid=valid)
        certificate = files.write(f"{name}.pem", issued)
        machine = WindowsMachine(build_computer("GAME-03"))
        with LabServer(machine, USERS, certificate=certificate) as server:
            connection = Connection(
                "localhost", server.port, "https", "ntlm", USER, PASSWORD, ca_file=str(files.ca)
            )
            gateway = WinrmGateway({"a": connection}, ScriptLibrary(default_scripts()))
            with pytest.raises(TlsUntrusted, match=text):
                gateway.query("a", WQL)
            gateway.close()


def test_a_ca_file_that_was_renewed_is_read_again(labs: Labs, files: Files, tmp_path: Path) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(Authority("Another").pem)
    gateway = labs.gateway("https", ca_file=str(trusted))
    with pytest.raises(TlsUntrusted):
        gateway.query("a", WQL)
    trusted.unlink()
    trusted.write_bytes(files.authority.pem)
    assert gateway.query("a", WQL) == [{"Name": "GAME-01"}]
    gateway.close()


def test_a_port_that_speaks_no_tls_is_named(labs: Labs) -> None:
    with Plain() as plain:
        error = labs.refused("https", port=plain.port)
    assert type(error) is TlsUntrusted
    assert f"port {plain.port} does not speak TLS: write ansible_winrm_scheme: http" in str(error)


@pytest.mark.parametrize("transport", ["ntlm", "negotiate"])
def test_a_login_bound_to_another_channel_is_refused(
    labs: Labs, files: Files, transport: str
) -> None:
    """A relay that opens TLS passes the login on to the real server."""
    other = files.write("relay.pem", files.authority.issue("relay", hosts=LOCALHOST))
    for kind in ("https", "strict"):
        with TlsRelay(other, labs.server(kind).port) as relay:
            refused = labs.refused(kind, transport=transport, port=relay.port)
        assert type(refused) is CredentialsRefused
        assert "bound to the channel" in str(refused)
        assert labs.server(kind).stats["auth_legs"] == 2
    assert type(labs.refused("strict", transport=transport, channel_binding=False)) is (
        CredentialsRefused
    )


@pytest.mark.kerberos
def test_a_ticket_bound_to_another_channel_is_refused(
    domain_labs: Labs, realm: Kdc, files: Files
) -> None:
    other = files.write("relay.pem", files.authority.issue("relay", hosts=LOCALHOST))
    with TlsRelay(other, domain_labs.server("https").port) as relay:
        refused = domain_labs.refused("https", transport="kerberos", port=relay.port)
    assert type(refused) is CredentialsRefused
    unbound = {"transport": "kerberos", "channel_binding": False}
    assert type(domain_labs.refused("strict", **unbound)) is CredentialsRefused
    prove(domain_labs, "https", unbound, 1, False)


def test_the_environments_proxy_and_cas_are_not_used(
    labs: Labs, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Proxy() as trap:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{trap.port}")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file")
        monkeypatch.setenv("CURL_CA_BUNDLE", "/no/such/file")
        prove(labs, "http", {}, 2, True)
        prove(labs, "https", {}, 2, False)
    assert trap.asked_for == []


@pytest.mark.parametrize("kind", ["http", "https"])
def test_a_proxy_that_was_asked_for_is_gone_through(labs: Labs, kind: str) -> None:
    login = "Basic dTpww6Rzcw=="
    with Proxy(login=login) as proxy:
        url = f"http://u:p%C3%A4ss@127.0.0.1:{proxy.port}"
        prove(labs, kind, {"proxy": url}, 2, kind == "http")
        assert proxy.asked_for == [f"CONNECT localhost:{labs.server(kind).port}"] * 2
        without = labs.refused(kind, proxy=f"http://127.0.0.1:{proxy.port}")
    assert type(without) is ServerUnreachable
    assert "the proxy answered 407: it wants a login" in str(without)


def test_a_proxy_that_is_not_there_or_forbids_it_is_named(labs: Labs) -> None:
    gone = labs.refused("http", proxy=f"http://127.0.0.1:{free_port()}")
    assert "the proxy 127.0.0.1:" in str(gone)
    with Proxy(status=403) as proxy:
        forbidden = labs.refused("http", proxy=f"http://127.0.0.1:{proxy.port}")
    assert "the proxy answered 403: it does not let us through" in str(forbidden)


def test_no_secret_is_in_a_connections_repr() -> None:
    shown = repr(Connection("h", 1, "http", "ntlm", "u", "s3cret", proxy="http://u:s3cret@p:1"))
    assert "s3cret" not in shown


@pytest.mark.kerberos
def test_a_cache_that_was_filled_again_is_read_again(domain_labs: Labs, realm: Kdc) -> None:
    manual = {"transport": "kerberos", "user": "", "password": ""}
    realm.kinit("robot")
    gateway = domain_labs.gateway("http", **manual)
    assert gateway.query("a", WQL) == [{"Name": "GAME-01"}]
    gateway.close()
    (realm.folder / "ccache").unlink()
    assert type(domain_labs.refused("http", **manual)) is NoTicket
    realm.kinit()
    prove(domain_labs, "http", manual, 1, True)


class Careless(LabServer):
    """Answers in clear text what was asked sealed, as somebody in between could."""

    def _wrap(self, status: int, body: bytes, auth: ConnectionAuth, sealed: bool) -> HttpReply:
        return super()._wrap(status, body, auth, sealed=False)


@pytest.mark.parametrize("wql", [WQL, "SELECT * FROM Win32_NoSuchClass"])
def test_an_answer_in_clear_text_to_a_sealed_request_is_not_believed(wql: str) -> None:
    with Careless(WindowsMachine(build_computer("GAME-04")), USERS) as server:
        connection = Connection("localhost", server.port, "http", "ntlm", USER, PASSWORD)
        gateway = WinrmGateway({"a": connection}, ScriptLibrary(default_scripts()))
        with pytest.raises(ProtocolViolation, match="not sealed"):
            gateway.query("a", wql)
        gateway.close()
