"""Every variable's type: what it takes, and what it says of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.domain.mode import Mode
from orchestrator.domain.server import PortRange
from orchestrator.inventory.nodes import Node, Vaulted
from orchestrator.inventory.variables import KNOWN, shown, unknown_variable


@pytest.mark.parametrize(
    ("name", "value", "result"),
    [
        ("ansible_connection", "ansible.builtin.winrm", "winrm"),
        ("ansible_host", "tpe-01.games.example", "tpe-01.games.example"),
        ("ansible_host", "2001:DB8::1", "2001:db8::1"),
        ("ansible_host", "[2001:db8::1]", "2001:db8::1"),
        ("ansible_port", "5985", 5985),
        ("ansible_password", 12345, "12345"),
        ("ansible_winrm_transport", "ntlm", "ntlm"),
        ("ansible_winrm_transport", ["kerberos", "ntlm"], "kerberos"),
        ("ansible_winrm_transport", "credssp, basic", "credssp"),
        ("ansible_winrm_proxy", "", None),
        ("ansible_winrm_proxy", "http://p.example:3128/", "http://p.example:3128"),
        ("ansible_winrm_proxy", "http://u:p%40ss@p.example:1", "http://u:p%40ss@p.example:1"),
        ("ansible_winrm_send_cbt", "No", False),
        ("ansible_winrm_kerberos_delegation", True, True),
        ("ansible_winrm_kinit_mode", "manual", "manual"),
        ("ansible_winrm_credssp_minimum_version", "5", 5),
        ("ansible_winrm_credssp_disable_tlsv1_2", False, None),
        ("orchestrator_certificate_fingerprint", "AB:" * 31 + "AB", "ab" * 32),
        ("orchestrator_allow_cleartext", "yes", True),
        ("orchestrator_labels", {"gpu": "rtx", "ram": 32}, {"gpu": "rtx", "ram": "32"}),
        ("orchestrator_modes", ["process"], frozenset({Mode.PROCESS})),
        ("orchestrator_games", [], frozenset()),
        ("orchestrator_ports", "9000-9099", PortRange(9000, 9099)),
        ("orchestrator_ports", " 9000 - 9099 ", PortRange(9000, 9099)),
        ("orchestrator_ga_directory", "D:/GA/bin/", r"D:\GA\bin"),
        ("orchestrator_ga_directory", "D:\\", "D:\\"),
        ("orchestrator_config_directory", r"C:\遊戲\config", r"C:\遊戲\config"),
    ],
)
def test_a_right_value_is_taken(name: str, value: Any, result: Any) -> None:
    assert KNOWN[name].check(value) == result


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ansible_connection", "ssh", "write winrm"),
        ("ansible_connection", "psrp", "write winrm"),
        ("ansible_host", "http://192.0.2.1", "without scheme"),
        ("ansible_host", "192.0.2.1:5985", "without scheme, port"),
        ("ansible_host", "192.0.2.300", "IP address"),
        ("ansible_host", "two words", "host name"),
        ("ansible_port", True, "from 1 to 65535"),
        ("ansible_port", 0, "from 1 to 65535"),
        ("ansible_port", "-1", "from 1 to 65535"),
        ("ansible_port", 5985.5, "from 1 to 65535"),
        ("ansible_user", 7, "write text"),
        ("ansible_user", " ", "write text"),
        ("ansible_password", "", "in quotes"),
        ("ansible_password", 1.5, "in quotes"),
        ("ansible_winrm_scheme", "HTTP", "http or https"),
        ("ansible_winrm_path", "wsman", "/wsman"),
        ("ansible_winrm_transport", "ntml", "ntlm or"),
        ("ansible_winrm_transport", [], "ntlm or"),
        ("ansible_winrm_server_cert_validation", False, "validate or ignore"),
        ("ansible_winrm_proxy", "192.0.2.1:3128", "write http://HOST:PORT"),
        ("ansible_winrm_proxy", "https://192.0.2.1:3128", "write http://HOST:PORT"),
        ("ansible_winrm_proxy", "http://192.0.2.1", "write http://HOST:PORT"),
        ("ansible_winrm_proxy", "http://[::1", "write http://HOST:PORT"),
        ("ansible_winrm_proxy", "http://192.0.2.1:99999", "write http://HOST:PORT"),
        ("ansible_winrm_proxy", "http://192.0.2.1:1/pac", "write http://HOST:PORT"),
        ("ansible_winrm_send_cbt", "maybe", "true or false"),
        ("ansible_winrm_kinit_mode", "auto", "managed or manual"),
        ("ansible_winrm_kerberos_hostname_override", "HTTP/tpe-01", "host name"),
        ("ansible_winrm_credssp_minimum_version", 1, "from 2 to 6"),
        ("ansible_winrm_credssp_auth_mechanism", "basic", "auto or ntlm or kerberos"),
        ("ansible_winrm_credssp_disable_tlsv1_2", True, "TLS 1.2 and later"),
        ("orchestrator_certificate_fingerprint", "AB" * 20, "thumbprint by SHA-1"),
        ("orchestrator_certificate_fingerprint", "AB" * 31, "64 hexadecimal"),
        ("orchestrator_certificate_fingerprint", 12, "64 hexadecimal"),
        ("ansible_winrm_operation_timeout_sec", "soon", "whole number"),
        ("orchestrator_slots", 1001, "from 0 to 1000"),
        ("orchestrator_labels", ["gpu"], "mapping"),
        ("orchestrator_labels", {"gpu": True}, "mapping of text"),
        ("orchestrator_modes", "process", "list of: periodic"),
        ("orchestrator_modes", ["procces"], "list of: periodic"),
        ("orchestrator_modes", [], "list of: periodic"),
        ("orchestrator_games", "chess", "list of text"),
        ("orchestrator_games", [1], "list of text"),
        ("orchestrator_ports", 8554, "8554-8653"),
        ("orchestrator_ports", "9099-9000", "smaller port first"),
        ("orchestrator_ports", "1-70000", "within 1-65535"),
        ("orchestrator_probe", "ping", "write wql"),
        ("orchestrator_poll_interval", 0, "from 1 to 3600"),
        ("orchestrator_maintenance", {"start": "3:00"}, "list of windows"),
        ("orchestrator_maintenance", [{"start": "3:00"}], "window 1: write it as"),
        ("orchestrator_maintenance", [{"start": "25:00", "duration": "2h"}], "time of day"),
        ("orchestrator_maintenance", [{"start": "3:00", "duration": "2"}], "2h, 90m"),
        ("orchestrator_maintenance", [{"start": "3:00", "duration": "9d"}], "2h, 90m"),
        ("orchestrator_maintenance", [{"start": "3:00", "duration": "200h"}], "to a week"),
        (
            "orchestrator_maintenance",
            [{"start": "3:00", "weekday": "someday", "duration": "2h"}],
            "'someday' is not a day of week",
        ),
        ("orchestrator_maintenance", [{"cron": "0 3 * *", "duration": "2h"}], "five fields"),
        ("orchestrator_maintenance", [{"cron": "0 24 * * *", "duration": "2h"}], "hour: write 0"),
        (
            "orchestrator_maintenance",
            [{"cron": "0 3 * * *", "start": "3:00", "duration": "2h"}],
            "either cron",
        ),
        (
            "orchestrator_maintenance",
            [{"start": "3:00", "duration": "2h", "timezone": "Mars/Olympus"}],
            "no time zone Mars/Olympus",
        ),
        ("orchestrator_ga_directory", "GamingAnywhere", "absolute Windows path"),
        ("orchestrator_ga_directory", "/opt/ga", "absolute Windows path"),
        ("orchestrator_config_directory", 5, "absolute Windows path"),
    ],
)
def test_a_wrong_value_says_what_to_write(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KNOWN[name].check(value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("orchestrator_slts", "did you mean orchestrator_slots"),
        ("ansible_winrm_trasport", "did you mean ansible_winrm_transport"),
        ("orchestrator_zzzzzz", "docs/inventory.md lists"),
    ],
)
def test_an_unknown_variable_of_ours_is_refused_with_a_hint(name: str, hint: str) -> None:
    assert hint in str(unknown_variable(name))


@pytest.mark.parametrize("name", ["ansible_become_method", "my_own", "orchestrator_slots"])
def test_other_variables_are_left_alone(name: str) -> None:
    assert unknown_variable(name) is None


def test_values_are_shown_in_errors_but_secrets_are_not() -> None:
    def node(value: Any, hidden: bool = False) -> Node:
        return Node(value, "hosts.yml", 1, 1, hidden=hidden)

    assert shown("ansible_port", node("x")) == "'x'"
    assert len(shown("ansible_port", node("x" * 500))) <= 60
    for name in ("ansible_password", "ansible_winrm_pass", "my_api_key", "Token"):
        assert "s3cret" not in shown(name, node("s3cret"))
    assert "s3cret" not in shown("ansible_port", node("s3cret", hidden=True))
    assert "$ANSIBLE_VAULT" not in shown("ansible_port", node(Vaulted("$ANSIBLE_VAULT;1.1")))
