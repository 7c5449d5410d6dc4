"""A real Kerberos KDC of our own: MIT's krb5kdc in a folder, on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

REALM = "GAMES.TEST"
USER, PASSWORD = "orchestrator", "密碼 pässword"
SERVICE_HOSTS = ("localhost", "game-01.games.test")

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
PROGRAMS = ("krb5kdc", "kdb5_util", "kadmin.local", "kinit")


def missing() -> list[str]:
    """What a test with a KDC would need and does not find."""
    programs = [name for name in PROGRAMS if shutil.which(name, path=_PATH) is None]
    modules = []
    for name in ("gssapi", "krb5"):
        try:
            __import__(name)
        except ImportError:
            modules.append(f"Python's {name}")
    return programs + modules


@dataclass
class Kdc:
    """Started, it knows ``USER``, some accounts that may not log in, and the
    service HTTP on ``SERVICE_HOSTS``, whose keys are in ``keytab``."""

    folder: Path
    port: int = 0
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def keytab(self) -> Path:
        """The keys of the service."""
        return self.folder / "http.keytab"

    @property
    def robots_keytab(self) -> Path:
        """The keys of the account ``robot``."""
        return self.folder / "robot.keytab"

    def start(self) -> None:
        """Make the realm and answer for it."""
        self.port = free_port()
        self.configuration("krb5.conf", self.port)
        self._kdc_profile("kdc.conf", self.port)
        self._run("kdb5_util", "create", "-s", "-r", REALM, "-P", "master")
        for name, options in (
            (USER, ""),
            ("locked", "-allow_tix"),
            ("expired", '-pwexpire "2001-01-01 00:00:00"'),
            ("robot", ""),
            ("brief", '-maxlife "2 seconds"'),
            ("short", '-maxlife "6 seconds"'),
        ):
            self._administer(f'addprinc +requires_preauth {options} -pw "{PASSWORD}" {name}')
        self._administer(f"ktadd -norandkey -k {self.robots_keytab} robot")
        for host in SERVICE_HOSTS:
            self._administer(f"addprinc -randkey HTTP/{host}")
            self._administer(f"ktadd -k {self.keytab} HTTP/{host}")
        self._serve("kdc.conf", "krb5.conf", self.port)

    def start_out_of_step(self) -> Path:
        """A second KDC of the realm, to which every clock is wrong; the client's
        configuration for it."""
        port = free_port()
        self.configuration("skewed-kdc.conf", port, "clockskew = -1")
        self._kdc_profile("skewed-profile.conf", port)
        self._serve("skewed-profile.conf", "skewed-kdc.conf", port)
        return self.configuration("skewed.conf", port)

    def stop(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(30)

    def configuration(self, name: str, port: int, *extra: str) -> Path:
        """A krb5.conf that finds the realm's KDC on a port."""
        path = self.folder / name
        lines = [
            "[libdefaults]",
            f"default_realm = {REALM}",
            "dns_lookup_kdc = false",
            "dns_lookup_realm = false",
            "dns_canonicalize_hostname = false",
            "rdns = false",
            f"default_ccache_name = FILE:{self.folder / 'ccache'}",
            *extra,
            "[realms]",
            f"{REALM} = {{",
            f"  kdc = 127.0.0.1:{port}",
            "}",
            "[domain_realm]",
            f"localhost = {REALM}",
            f".games.test = {REALM}",
            "[logging]",
            f"kdc = FILE:{self.folder / 'kdc.log'}",
        ]
        path.write_text("\n".join(lines) + "\n")
        return path

    def environment(self, configuration: str = "krb5.conf") -> dict[str, str]:
        """What a Kerberos program has to be told."""
        return {
            "KRB5_CONFIG": str(self.folder / configuration),
            "KRB5CCNAME": f"FILE:{self.folder / 'ccache'}",
            "KRB5RCACHENAME": "none:",
        }

    def first_tickets(self, user: str = USER) -> int:
        """How many first tickets the KDC has given to an account."""
        return self._logged("ISSUE", user)

    def refusals(self, user: str = USER) -> int:
        """How often the KDC has rejected an account's password."""
        return self._logged("PREAUTH_FAILED", user)

    def kinit(self, user: str = USER) -> None:
        """Tickets into the environment's cache, as an admin gets them."""
        subprocess.run(
            [_found("kinit"), user],
            input=f"{PASSWORD}\n".encode(),
            env={"PATH": _PATH, **self.environment()},
            check=True,
            capture_output=True,
            timeout=30,
        )

    def _logged(self, what: str, user: str) -> int:
        log = (self.folder / "kdc.log").read_text(errors="replace").splitlines()
        of_user = f"{user}@{REALM} for krbtgt"
        return sum("AS_REQ" in line and what in line and of_user in line for line in log)

    def _kdc_profile(self, name: str, port: int) -> None:
        (self.folder / name).write_text(
            f"[kdcdefaults]\nkdc_listen = 127.0.0.1:{port}\nkdc_tcp_listen = 127.0.0.1:{port}\n"
            f"[realms]\n{REALM} = {{\n"
            f"  database_name = {self.folder / 'principal'}\n"
            f"  key_stash_file = {self.folder / 'stash'}\n"
            f"  acl_file = {self.folder / 'acl'}\n"
            "  max_life = 10h\n}\n"
        )

    def _administer(self, command: str) -> None:
        self._run("kadmin.local", "-r", REALM, "-q", command)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [_found(program), *arguments],
            env=self._server_environment("kdc.conf", "krb5.conf"),
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")

    def _server_environment(self, profile: str, configuration: str) -> dict[str, str]:
        return {
            "PATH": _PATH,
            "KRB5_CONFIG": str(self.folder / configuration),
            "KRB5_KDC_PROFILE": str(self.folder / profile),
            "KRB5RCACHENAME": "none:",
        }

    def _serve(self, profile: str, configuration: str, port: int) -> None:
        pid_file = self.folder / f"{profile}.pid"
        with (self.folder / "output").open("ab") as output:
            process = subprocess.Popen(
                [_found("krb5kdc"), "-n", "-r", REALM, "-P", str(pid_file)],
                env=self._server_environment(profile, configuration),
                stdout=output,
                stderr=output,
            )
        self._processes.append(process)
        end = time.monotonic() + 60
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"krb5kdc: {(self.folder / 'output').read_text()[-2000:]}")
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _found(program: str) -> str:
    path = shutil.which(program, path=_PATH)
    assert path is not None
    return path


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
