"""Look at what a server lacks before it can run games."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.domain.check import CheckedServer, CheckItem, CheckOrder, Verdict
from orchestrator.domain.errors import ServerCallError, UnknownServer
from orchestrator.domain.server import Health
from orchestrator.ports import ServerInspector, UnitOfWorkFactory
from orchestrator.services.probe_servers import Probed, ProbeServers

REMEDIES: Mapping[str, str] = {
    "server_unreachable": "address and port of the inventory; WinRM's listener and firewall rule",
    "not_in_inventory": "the inventory; then restart the broker",
    "tls_untrusted": "the certificate's name and issuer, or pin its fingerprint",
    "credentials_refused": "user and password; whether a policy denies NTLM to this account",
    "account_blocked": "the account is disabled, locked, expired or must change its password",
    "clock_skew": "set broker, server and domain controller in step: w32tm /resync",
    "login_not_offered": "a way in that the server offers: ansible_winrm_transport",
    "no_ticket": "the Kerberos ticket: kinit, the keytab, the server's name in the realm",
    "kdc_unreachable": "the domain controller's address and port 88; krb5.conf",
    "access_denied": "the account's groups, its rights on root\\cimv2, the UAC filter",
    "quota_exceeded": "shells that others left open: winrm enumerate shell",
    "server_busy": "try again; raise --connections-per-server where it stays so",
    "query_rejected": "its performance counters are missing: lodctr /R, winmgmt /resyncperf",
    "connection_lost": "what stands between: proxies, firewalls, a restart of WinRM",
    "deadline_exceeded": "the server is overloaded or hangs; raise --call-timeout",
    "protocol_violation": "whether it is WinRM that answers at that port",
    "script_error": "report it: a fault of ours",
}
"""What to look at for each code; docs/windows.md has more."""


class CheckServer:
    """One poll and one script call; what fails is an item of the answer, not an error."""

    def __init__(
        self, units: UnitOfWorkFactory, inspector: ServerInspector, probe: ProbeServers
    ) -> None:
        self._units = units
        self._inspector = inspector
        self._probe = probe

    def __call__(self, name: str) -> CheckedServer:
        """Check ``name``; UnknownServer where the inventory does not have it.

        A server that does not answer the poll is not asked again. The poll's
        health is kept, as from any other.
        """
        with self._units(read_only=True) as uow:
            record = uow.servers.get(name)
        if not record.present:
            raise UnknownServer(f"{name} has left the inventory")
        if not self._inspector.knows(name):
            raise UnknownServer(f"the inventory that was read at the start has no server {name}")
        (probed,) = self._probe([name])
        polling = _polling(probed)
        if probed.health in {Health.UNREACHABLE, Health.REFUSED}:
            return CheckedServer(name, "", "", (polling,))
        try:
            report = self._inspector.inspect(name, CheckOrder.for_server(record.server))
        except ServerCallError as error:
            found = f"{error.code}: {error.message}"
            scripts = CheckItem("scripts", Verdict.PROBLEM, found, _remedy(error.code))
            return CheckedServer(name, "", "", (polling, scripts))
        scripts = CheckItem("scripts", Verdict.OK, f"run as {report.account or 'an account'}")
        items = (polling, scripts, *report.items)
        return CheckedServer(name, report.computer, report.account, items)


def _polling(probed: Probed) -> CheckItem:
    if probed.load is not None:
        return CheckItem("polling", Verdict.OK, "its load was read")
    code = probed.reason.partition(":")[0]
    return CheckItem("polling", Verdict.PROBLEM, probed.reason, _remedy(code))


def _remedy(code: str) -> str:
    return REMEDIES.get(code, f"docs/windows.md, under {code}")
