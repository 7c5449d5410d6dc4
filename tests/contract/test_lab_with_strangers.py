"""Clients that know nothing of us find a Windows host in the lab."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
import winrm
from pypsrp.shell import Process, SignalCode, WinRS
from pypsrp.wsman import WSMan
from winrm.exceptions import (
    InvalidCredentialsError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)
from winrm.protocol import Protocol

from orchestrator.lab import DIALECTS, LabServer, Quotas, build_computer
from orchestrator.lab.certificate import make_certificate
from orchestrator.lab.windows import WindowsMachine

USER, PASSWORD = "orchestrator", "pässwörd 密碼"
UNKNOWN = (
    b"'nosuch' is not recognized as an internal or external command,\r\n"
    b"operable program or batch file.\r\n"
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pypsrp"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]


@pytest.fixture
def lab() -> Iterator[LabServer]:
    with LabServer(WindowsMachine(build_computer("STRANGE-1")), {USER: PASSWORD}) as server:
        yield server
        assert server.open_shells == []


def session(server: LabServer, transport: str = "ntlm", **options: object) -> winrm.Session:
    options = {"proxy": None, "ca_trust_path": None, **options}
    return winrm.Session(server.url, auth=(USER, PASSWORD), transport=transport, **options)


def protocol(server: LabServer) -> Protocol:
    return Protocol(
        server.url,
        transport="ntlm",
        username=USER,
        password=PASSWORD,
        proxy=None,
        ca_trust_path=None,
    )


def test_pywinrm_runs_commands_over_sealed_ntlm(lab: LabServer) -> None:
    host = session(lab)
    assert host.run_cmd("hostname").std_out == b"STRANGE-1\r\n"
    assert host.run_cmd("echo", ["a  b"]).std_out == b"a  b\r\n"
    assert host.run_cmd("exit 3").status_code == 3
    unknown = host.run_cmd("nosuch")
    assert (unknown.std_out, unknown.std_err, unknown.status_code) == (b"", UNKNOWN, 1)
    assert lab.stats["sealed"] > 0
    assert lab.stats["auth_legs"] == 2 * 4


def test_dir_lists_folders_and_files_as_cmd_does(lab: LabServer) -> None:
    host = session(lab)
    listed = host.run_cmd("dir", ["C:\\"]).std_out.decode()
    assert " Directory of C:\\\r\n" in listed
    assert "<DIR>          Games\r\n" in listed
    assert "               0 File(s)              0 bytes\r\n" in listed
    configs = r'"C:\GamingAnywhere\config"'
    names = host.run_cmd("dir", ["/b", configs]).std_out.decode().splitlines()
    assert "supertux.conf" in names
    table = host.run_cmd("dir", [configs]).std_out.decode()
    assert all(name in table for name in names)
    missing = host.run_cmd("dir", [r"C:\nothing here"])
    assert (missing.std_err, missing.status_code) == (b"File Not Found\r\n", 1)


def test_pywinrm_runs_a_powershell_one_liner(lab: LabServer) -> None:
    assert session(lab).run_ps("Write-Output 'hello'").std_out == b"hello\r\n"
    other = session(lab).run_ps("Get-Item C:\\")
    assert other.status_code == 1
    assert b"runs no PowerShell" in other.std_err


def test_pywinrm_is_refused_with_a_wrong_password_and_without_sealing(lab: LabServer) -> None:
    wrong = winrm.Session(
        lab.url, auth=(USER, "wrong"), transport="ntlm", proxy=None, ca_trust_path=None
    )
    with pytest.raises(InvalidCredentialsError):
        wrong.run_cmd("hostname")
    with pytest.raises((InvalidCredentialsError, WinRMTransportError)):
        session(lab, message_encryption="never").run_cmd("hostname")
    plain = winrm.Session(
        lab.url, auth=(USER, "ascii"), transport="basic", proxy=None, ca_trust_path=None
    )
    with pytest.raises(InvalidCredentialsError):
        plain.run_cmd("hostname")


def test_pywinrm_long_polls_and_finds_a_deleted_shell_gone(lab: LabServer) -> None:
    host = Protocol(
        lab.url,
        transport="ntlm",
        username=USER,
        password=PASSWORD,
        operation_timeout_sec=1,
        read_timeout_sec=5,
        proxy=None,
        ca_trust_path=None,
    )
    shell = host.open_shell(codepage=65001)
    reads_stdin = "powershell -EncodedCommand " + encoded(
        "$t=[Console]::In.ReadToEnd();[Convert]::FromBase64String($t)"
    )
    command = host.run_command(shell, reads_stdin)
    with pytest.raises(WinRMOperationTimeoutError):
        host.get_command_output_raw(shell, command)
    host.send_command_input(shell, command, b"not json", end=True)
    stdout, _, code = host.get_command_output(shell, command)
    assert b'"script_error"' in stdout
    assert code == 1
    host.cleanup_command(shell, command)
    host.close_shell(shell, close_session=False)
    with pytest.raises(WSManFaultError) as gone:
        host.run_command(shell, "hostname")
    assert gone.value.wsman_fault_code == 2150858843
    host.transport.close_session()


def encoded(text: str) -> str:
    import base64

    return base64.b64encode(text.encode("utf-16-le")).decode()


def test_basic_over_https_needs_a_certificate_that_is_trusted(tmp_path: Path) -> None:
    both, ca = make_certificate(tmp_path)
    machine = WindowsMachine(build_computer("STRANGE-2"))
    with LabServer(machine, {USER: "ascii"}, certificate=both) as server:
        trusted = winrm.Session(
            server.url, auth=(USER, "ascii"), transport="ssl", ca_trust_path=str(ca), proxy=None
        )
        assert trusted.run_cmd("hostname").std_out == b"STRANGE-2\r\n"
        sealed = winrm.Session(
            server.url, auth=(USER, "ascii"), transport="ntlm", ca_trust_path=str(ca), proxy=None
        )
        assert sealed.run_cmd("hostname").std_out == b"STRANGE-2\r\n"


@pytest.mark.parametrize(
    ("dialect", "wsman_code", "wmi_code"),
    [("2012r2", 2150859173, None), ("2022", None, 2150859173)],
)
def test_a_full_shell_quota_is_the_fault_of_the_servers_age(
    dialect: str, wsman_code: int | None, wmi_code: int | None
) -> None:
    machine = WindowsMachine(build_computer("STRANGE-3"))
    quotas = Quotas(shells_per_user=1)
    with LabServer(machine, {USER: PASSWORD}, dialect=dialect, quotas=quotas) as server:
        host = protocol(server)
        shell = host.open_shell()
        with pytest.raises(WSManFaultError) as full:
            host.open_shell()
        assert full.value.wsman_fault_code == wsman_code
        assert full.value.wmierror_code == wmi_code
        host.close_shell(shell, close_session=True)


@pytest.fixture(params=DIALECTS)
def aged(request: pytest.FixtureRequest) -> Iterator[LabServer]:
    machine = WindowsMachine(build_computer("STRANGE-4"))
    with LabServer(machine, {USER: PASSWORD}, dialect=request.param) as server:
        yield server
        assert server.open_shells == []


def test_pywinrm_understands_hosts_of_every_age(aged: LabServer) -> None:
    host = session(aged)
    assert host.run_cmd("hostname").std_out == b"STRANGE-4\r\n"
    assert host.run_ps("Write-Output 'hello'").std_out == b"hello\r\n"
    wide = protocol(aged)
    most = aged.dialect.quotas.shells_per_user
    shells = [wide.open_shell() for _ in range(most)]
    with pytest.raises(WSManFaultError) as full:
        wide.open_shell()
    assert 2150859173 in {full.value.wsman_fault_code, full.value.wmierror_code}
    for shell in shells:
        wide.close_shell(shell, close_session=False)
    wide.transport.close_session()


def test_a_pywinrm_command_beyond_the_operations_of_an_old_host_is_refused() -> None:
    machine = WindowsMachine(build_computer("STRANGE-5"))
    with LabServer(machine, {USER: PASSWORD}, dialect="2008r2") as server:
        host = protocol(server)
        shell = host.open_shell()
        for _ in range(15):
            command = host.run_command(shell, "hostname")
            assert host.get_command_output(shell, command)[0] == b"STRANGE-5\r\n"
            host.cleanup_command(shell, command)
        with pytest.raises(WSManFaultError) as full:
            host.run_command(shell, "hostname")
        assert full.value.wsman_fault_code == 2150859174
        host.close_shell(shell, close_session=True)


def test_pypsrp_understands_hosts_of_every_age_and_sees_its_shells(aged: LabServer) -> None:
    shells = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
    spaces = {"rsp": shells, "n": "http://schemas.xmlsoap.org/ws/2004/09/enumeration"}
    with (
        WSMan(
            "127.0.0.1",
            port=aged.port,
            username=USER,
            password=PASSWORD,
            ssl=False,
            auth="negotiate",
            encryption="always",
        ) as wsman,
        WinRS(wsman, idle_time_out=190) as shell,
    ):
        process = Process(shell, "hostname")
        process.invoke()
        assert process.stdout == b"STRANGE-4\r\n"
        process.signal(SignalCode.CTRL_C)
        ask = ET.Element(f"{{{spaces['n']}}}Enumerate")
        ET.SubElement(ask, "{http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd}OptimizeEnumeration")
        answer = wsman.enumerate(shells, ask)
        (listed,) = answer.findall(".//rsp:Shell", spaces)
        assert listed.findtext("rsp:ShellId", namespaces=spaces) == shell.id
        assert listed.findtext("rsp:IdleTimeOut", namespaces=spaces) == "PT190.000S"
        assert listed.findtext("rsp:ClientIP", namespaces=spaces) == "127.0.0.1"
        owner = listed.findtext("rsp:Owner", namespaces=spaces) or ""
        assert owner.rpartition("\\")[2] == USER


def test_pypsrps_winrs_runs_commands_over_sealed_negotiate(lab: LabServer) -> None:
    with (
        WSMan(
            "127.0.0.1",
            port=lab.port,
            username=USER,
            password=PASSWORD,
            ssl=False,
            auth="negotiate",
            encryption="always",
        ) as wsman,
        WinRS(wsman) as shell,
    ):
        process = Process(shell, "hostname")
        process.invoke()
        assert process.stdout == b"STRANGE-1\r\n"
        assert process.rc == 0
        process.signal(SignalCode.CTRL_C)
        unknown = Process(shell, "nosuch")
        unknown.invoke()
        assert (unknown.stderr, unknown.rc) == (UNKNOWN, 1)
        unknown.signal(SignalCode.CTRL_C)


def test_output_of_a_megabyte_arrives_whole(lab: LabServer) -> None:
    text = "線" * 350_000
    lab.machine.computer.files.write(r"C:\big.txt", text)  # type: ignore[attr-defined]
    host = protocol(lab)
    shell = host.open_shell(codepage=65001)
    command = host.run_command(shell, r"type C:\big.txt")
    stdout, _, code = host.get_command_output(shell, command)
    assert (stdout.decode("utf-8"), code) == (text, 0)
    host.cleanup_command(shell, command)
    host.close_shell(shell)


@pytest.mark.ansible
def test_ansibles_raw_module_works_over_ntlm(lab: LabServer, tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(
        "all:\n  hosts:\n    strange:\n      ansible_host: 127.0.0.1\n"
        f"      ansible_port: {lab.port}\n      ansible_user: {USER}\n"
        f"      ansible_password: '{PASSWORD}'\n      ansible_connection: winrm\n"
        "      ansible_winrm_scheme: http\n      ansible_winrm_transport: ntlm\n",
        encoding="utf-8",
    )
    environment = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "ANSIBLE_NOCOLOR": "1",
        "PYTHONWARNINGS": "ignore",
    }

    def raw(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                sys.executable,
                str(Path(sysconfig.get_path("scripts")) / "ansible"),
                "-i",
                str(inventory),
                "strange",
                "-m",
                "raw",
                "-a",
                command,
            ],
            capture_output=True,
            text=True,
            env=environment,
            timeout=120,
        )

    good = raw("hostname")
    assert "STRANGE-1" in good.stdout, good.stdout + good.stderr
    assert good.returncode == 0
    bad = raw("nosuch")
    assert "is not recognized as the name of a cmdlet" in bad.stdout, bad.stdout
    assert bad.returncode != 0
    through_cmd = raw("cmd /c nosuch")
    assert "is not recognized as an internal or external command" in through_cmd.stdout
