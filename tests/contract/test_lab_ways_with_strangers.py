"""Clients that know nothing of us log in to the lab by Kerberos, CredSSP and
certificates: lab and transport cannot share one misunderstanding."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import winrm
from cryptography import x509
from pypsrp.shell import Process, SignalCode, WinRS
from pypsrp.wsman import WSMan
from winrm.exceptions import InvalidCredentialsError

from orchestrator.lab import LabServer, build_computer
from orchestrator.lab.certificate import Authority
from orchestrator.lab.tls import ClientCertificates
from orchestrator.lab.windows import WindowsMachine
from tests.contract.kdc import PASSWORD, REALM, USER, Kdc

EVERY = ("negotiate", "kerberos", "credssp", "certificate", "basic")
USERS = {USER: PASSWORD, f"{USER}@{REALM}": PASSWORD}

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pypsrp"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Certificate for:UserWarning"),
]


class House:
    """An http and two https servers, and the files to reach them by."""

    def __init__(self, folder: Path, keytab: Path | None, stack: ExitStack) -> None:
        servers, clients = Authority("Servers' CA"), Authority("Clients' CA")
        self.ca, self.client = folder / "ca.pem", folder / "client.pem"
        client_ca, certificate = folder / "client-ca.pem", folder / "server.pem"
        self.ca.write_bytes(servers.pem)
        self.client.write_bytes(clients.issue("broker"))
        client_ca.write_bytes(clients.pem)
        certificate.write_bytes(servers.issue("server", hosts=[x509.DNSName("localhost")]))
        late = ClientCertificates(client_ca, {"broker": USER})
        machine = WindowsMachine(build_computer("STRANGE-4"))

        def start(**options: Any) -> LabServer:
            return stack.enter_context(LabServer(machine, USERS, keytab=keytab, **options))

        tls = {"schemes": EVERY, "certificate": certificate, "binding_level": "strict"}
        self.servers = {
            "http": start(schemes=("negotiate", "kerberos", "credssp")),
            "https": start(clients=late, **tls),
            "https, forgetful": start(forgets_tickets=True, **tls),
            "https, certificate at once": start(clients=replace(late, late=False), **tls),
        }

    def url(self, kind: str) -> str:
        return self.servers[kind].url.replace("127.0.0.1", "localhost")

    def pywinrm(self, kind: str, transport: str, **options: Any) -> winrm.Session:
        self.servers[kind].stats.clear()
        return winrm.Session(
            self.url(kind),
            auth=options.pop("auth", (USER, PASSWORD)),
            transport=transport,
            proxy=None,
            ca_trust_path=str(self.ca),
            **options,
        )

    def pypsrp(self, kind: str, **options: Any) -> WSMan:
        self.servers[kind].stats.clear()
        ssl = kind != "http"
        return WSMan(
            "localhost",
            port=self.servers[kind].port,
            ssl=ssl,
            cert_validation=str(self.ca) if ssl else True,
            no_proxy=True,
            **options,
        )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with ExitStack() as stack:
        yield House(tmp_path_factory.mktemp("house"), None, stack)


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory, kdc: Kdc) -> Iterator[House]:
    with ExitStack() as stack:
        yield House(tmp_path_factory.mktemp("domain"), kdc.keytab, stack)


def echoes(wsman: WSMan) -> None:
    """A command of pypsrp's, with a line long enough to need two TLS records."""
    text = "x" * 7000 + "三國"
    with wsman, WinRS(wsman, codepage=65001) as shell:
        process = Process(shell, "echo", [text])
        process.invoke()
        assert (process.stdout.decode("utf-8"), process.rc) == (f"{text}\r\n", 0)
        process.signal(SignalCode.CTRL_C)


@pytest.mark.parametrize("kind", ["http", "https"])
def test_pywinrm_logs_in_by_credssp(house: House, kind: str) -> None:
    host = house.pywinrm(kind, "credssp")
    assert host.run_cmd("hostname").std_out == b"STRANGE-4\r\n"
    assert (house.servers[kind].stats["sealed"] > 0) == (kind == "http")
    with pytest.raises(Exception, match="0x8009030c"):
        house.pywinrm(kind, "credssp", auth=(USER, "wrong")).run_cmd("hostname")


@pytest.mark.parametrize("encryption", ["auto", "always"])
@pytest.mark.parametrize("kind", ["http", "https"])
def test_pypsrp_logs_in_by_credssp(house: House, kind: str, encryption: str) -> None:
    options = {"auth": "credssp", "credssp_auth_mechanism": "ntlm", "encryption": encryption}
    echoes(house.pypsrp(kind, username=USER, password=PASSWORD, **options))
    sealed = house.servers[kind].stats["sealed"]
    assert (sealed > 0) == (kind == "http" or encryption == "always")


@pytest.mark.parametrize("kind", ["https", "https, certificate at once"])
def test_both_log_in_by_a_client_certificate(house: House, kind: str) -> None:
    files = {"cert_pem": str(house.client), "cert_key_pem": str(house.client)}
    host = house.pywinrm(kind, "certificate", auth=("", ""), **files)
    assert host.run_cmd("hostname").std_out == b"STRANGE-4\r\n"
    pem = {"certificate_pem": str(house.client), "certificate_key_pem": str(house.client)}
    echoes(house.pypsrp(kind, auth="certificate", **pem))
    assert house.servers[kind].stats["auth_legs"] == 0


def test_both_are_let_in_where_channel_binding_is_demanded(house: House) -> None:
    host = house.pywinrm("https", "ntlm")
    assert host.run_cmd("hostname").std_out == b"STRANGE-4\r\n"
    with pytest.raises(InvalidCredentialsError):
        house.pywinrm("https", "ntlm", send_cbt=False).run_cmd("hostname")
    echoes(house.pypsrp("https", auth="ntlm", username=USER, password=PASSWORD))


@pytest.mark.kerberos
@pytest.mark.parametrize("kind", ["http", "https", "https, forgetful"])
def test_pywinrm_logs_in_by_kerberos(domain: House, realm: Kdc, kind: str) -> None:
    pytest.importorskip("kerberos", reason="the extra testkerberos is not installed")
    realm.kinit()
    host = domain.pywinrm(kind, "kerberos", auth=(f"{USER}@{REALM}", ""))
    assert host.run_cmd("hostname").std_out == b"STRANGE-4\r\n"
    stats = domain.servers[kind].stats
    assert (stats["sealed"] > 0) == (kind == "http")
    # pywinrm closes the connection after its call, but knows it as logged in.
    assert stats["auth_legs"] >= 1


@pytest.mark.kerberos
@pytest.mark.parametrize("auth", ["kerberos", "negotiate", "credssp"])
@pytest.mark.parametrize("kind", ["http", "https", "https, forgetful"])
def test_pypsrp_logs_in_by_kerberos(domain: House, realm: Kdc, kind: str, auth: str) -> None:
    service = {} if auth == "credssp" else {"negotiate_service": "HTTP"}
    wsman = domain.pypsrp(kind, auth=auth, username=f"{USER}@{REALM}", password=PASSWORD, **service)
    echoes(wsman)
    assert (domain.servers[kind].stats["sealed"] > 0) == (kind == "http")


@pytest.mark.kerberos
@pytest.mark.ansible
def test_ansible_gets_its_own_ticket(domain: House, realm: Kdc, tmp_path: Path) -> None:
    pytest.importorskip("kerberos", reason="the extra testkerberos is not installed")
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(
        "all:\n  hosts:\n    strange:\n      ansible_host: localhost\n"
        f"      ansible_port: {domain.servers['http'].port}\n"
        f"      ansible_user: {USER}@{REALM}\n      ansible_password: '{PASSWORD}'\n"
        "      ansible_connection: winrm\n      ansible_winrm_scheme: http\n"
        "      ansible_winrm_transport: kerberos\n"
        "      ansible_winrm_kinit_env_vars: [KRB5_CONFIG]\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [
            sys.executable,
            str(Path(sysconfig.get_path("scripts")) / "ansible"),
            *("-i", str(inventory), "strange", "-m", "raw", "-a", "hostname"),
        ],
        capture_output=True,
        text=True,
        env={
            "HOME": str(tmp_path),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PYTHONWARNINGS": "ignore",
            "KRB5_CONFIG": os.environ["KRB5_CONFIG"],
        },
        timeout=120,
    )
    assert "STRANGE-4" in done.stdout, done.stdout + done.stderr
