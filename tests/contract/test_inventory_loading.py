"""What a right inventory becomes: servers, connections, and the list for people."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.domain.maintenance import MaintenanceWindow
from orchestrator.domain.mode import Mode
from orchestrator.domain.server import Connection, PortRange, Server, SunshineLogin
from orchestrator.inventory import Inventory, load_inventory, to_ansible_list


def _load(folder: Path, text: str, environment: dict[str, str] | None = None) -> Inventory:
    path = folder / "hosts.yml"
    path.write_text(text, encoding="utf-8")
    return load_inventory(path, environment=environment or {})


def _one(folder: Path, *lines: str, environment: dict[str, str] | None = None) -> Connection:
    body = "".join(f"      {line}\n" for line in lines)
    login = "    ansible_user: u\n    ansible_password: p\n"
    text = f"all:\n  vars:\n{login}  hosts:\n    one:\n{body}"
    (entry,) = _load(folder, text, environment).entries
    return entry.connection


def test_defaults_are_ansibles_but_for_ntlm(tmp_path: Path) -> None:
    (entry,) = _load(
        tmp_path, "all: {hosts: {one.example: {ansible_user: u, ansible_password: p}}}"
    ).entries

    modes = frozenset(Mode) - {Mode.SUNSHINE}
    assert entry.server == Server("one.example", "one.example", "one.example", modes=modes)
    assert entry.connection == Connection("one.example", 5986, "https", "ntlm", "u", "p")


def test_every_variable_arrives(tmp_path: Path) -> None:
    text = r"""
all:
  hosts:
    one:
      ansible_connection: winrm
      ansible_host: 192.0.2.1
      ansible_port: 5999
      ansible_user: GAMES\u
      ansible_password: 007
      ansible_winrm_scheme: https
      ansible_winrm_path: /other
      ansible_winrm_transport: basic
      ansible_winrm_server_cert_validation: ignore
      ansible_winrm_ca_trust_path: /etc/ca.pem
      ansible_winrm_operation_timeout_sec: 5
      ansible_winrm_read_timeout_sec: 6
      ansible_winrm_message_encryption: never
      orchestrator_site: taipei
      orchestrator_slots: 2
      orchestrator_labels: {gpu: rtx, ram: 32}
      orchestrator_modes: [process, sunshine]
      orchestrator_games: [go]
      orchestrator_physical_host: kvm-1
      orchestrator_ports: 9000-9003
      orchestrator_probe: wql
      orchestrator_poll_interval: 30
      orchestrator_maintenance:
        - {weekday: [sat, sun], start: 13:00, duration: 1h30m, timezone: Asia/Taipei}
        - {cron: 30 2 1 * *, duration: 45m}
      orchestrator_stream_address: 203.0.113.1
      orchestrator_ga_directory: D:\GA\bin
      orchestrator_config_directory: D:\GA\config
      orchestrator_sunshine_user: sun
      orchestrator_sunshine_password: moon
      orchestrator_sunshine_port: 48989
"""
    (entry,) = _load(tmp_path, text.replace("007", "'007'")).entries

    assert entry.server == Server(
        name="one",
        address="192.0.2.1",
        stream_address="203.0.113.1",
        site="taipei",
        slots=2,
        labels={"gpu": "rtx", "ram": "32"},
        modes=frozenset({Mode.PROCESS, Mode.SUNSHINE}),
        games=frozenset({"go"}),
        physical_host="kvm-1",
        ports=PortRange(9000, 9003),
        poll_interval=30,
        maintenance=(
            MaintenanceWindow("0 13 * * sat,sun", 90, "Asia/Taipei"),
            MaintenanceWindow("30 2 1 * *", 45, "UTC"),
        ),
        ga_directory=r"D:\GA\bin",
        config_directory=r"D:\GA\config",
        sunshine_port=48989,
    )
    assert entry.connection == Connection(
        host="192.0.2.1",
        port=5999,
        scheme="https",
        transport="basic",
        user=r"GAMES\u",
        password="007",
        validate_certificate=False,
        ca_file="/etc/ca.pem",
        operation_timeout=5,
        read_timeout=6,
        path="/other",
        message_encryption="never",
        sunshine=SunshineLogin("sun", "moon", 48989),
    )
    assert "moon" not in repr(entry)


@pytest.mark.parametrize(
    ("lines", "scheme", "port"),
    [
        (["x: 1"], "https", 5986),
        (["ansible_winrm_scheme: http"], "http", 5985),
        (["ansible_port: 5985"], "http", 5985),
        (["ansible_port: 1234"], "https", 1234),
        (["ansible_port: 5985", "ansible_winrm_scheme: https"], "https", 5985),
        (["ansible_port: 1", "ansible_winrm_port: '5985'"], "http", 5985),
    ],
)
def test_scheme_and_port_follow_from_each_other(
    tmp_path: Path, lines: list[str], scheme: str, port: int
) -> None:
    connection = _one(tmp_path, *lines)

    assert (connection.scheme, connection.port) == (scheme, port)


def test_the_names_of_the_winrm_plugin_win_whatever_the_order(tmp_path: Path) -> None:
    connection = _one(
        tmp_path,
        "ansible_winrm_password: third",
        "ansible_winrm_pass: second",
        "ansible_password: first",
        "ansible_winrm_user: wins",
        "ansible_user: loses",
        "ansible_winrm_host: 192.0.2.2",
        "ansible_host: 192.0.2.1",
    )

    assert (connection.password, connection.user, connection.host) == (
        "third",
        "wins",
        "192.0.2.2",
    )


def test_one_timeout_can_set_both(tmp_path: Path) -> None:
    connection = _one(
        tmp_path, "ansible_winrm_connection_timeout: 60", "ansible_winrm_read_timeout_sec: 2"
    )

    assert (connection.operation_timeout, connection.read_timeout) == (60, 70)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("\"{{ lookup('env', 'PW') }}\"", "from the environment"),
        ('\'{{lookup( "env" ,"PW" )}}\'', "from the environment"),
        ("\"{{ lookup('ansible.builtin.env', 'PW') }}\"", "from the environment"),
        ("\"{{ lookup('file', 'secret/pw') }}\"", "from a file"),
        ("\"{{ lookup('env', 'BRACES') }}\"", "{{ not a template }}"),
        ('"{{ other }}"', "another variable's"),
        ('"<{{ other }}-{{ number }}>"', "<another variable's-7>"),
        ('"{{ inventory_hostname }}/{{ inventory_hostname_short }}"', "one.example/one"),
        ('"{{ number }}"', "7"),
        ("!unsafe 'a{{ b }}{% c'", "a{{ b }}{% c"),
        ("'a } b { c'", "a } b { c"),
    ],
)
def test_a_value_is_what_was_meant(tmp_path: Path, written: str, meant: str) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "pw").write_text("from a file\n", encoding="utf-8")
    text = f"""
all:
  hosts:
    one.example:
      ansible_user: u
      ansible_password: {written}
      other: "{{{{ third }}}}"
      third: another variable's
      number: 7
"""
    environment = {"PW": "from the environment", "BRACES": "{{ not a template }}"}

    (entry,) = _load(tmp_path, text, environment).entries

    assert entry.connection.password == meant


def test_a_file_is_looked_for_beside_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "pw").write_text("beside\n")
    (tmp_path / "group_vars" / "all.yml").write_text(
        "ansible_user: u\nansible_password: \"{{ lookup('file', 'pw') }}\"\n"
    )

    (entry,) = _load(tmp_path, "all: {hosts: {one: }}").entries

    assert entry.connection.password == "beside"


def test_paths_can_begin_at_the_inventorys_folder(tmp_path: Path) -> None:
    connection = _one(tmp_path, "ansible_winrm_ca_trust_path: '{{ inventory_dir }}/ca.pem'")

    assert connection.ca_file == str(tmp_path / "ca.pem")


def test_precedence_is_all_then_parents_then_children_then_the_host(tmp_path: Path) -> None:
    text = """
all:
  vars: {ansible_user: u, ansible_password: p, orchestrator_site: all, orchestrator_slots: 1}
  children:
    parent:
      vars: {orchestrator_site: parent, orchestrator_physical_host: parent}
      children:
        child:
          vars: {orchestrator_site: child, ansible_port: 1}
          hosts:
            one: {ansible_port: 2}
    late:
      vars: {orchestrator_physical_host: late, orchestrator_slots: 2}
      hosts: {one: }
    early:
      vars: {orchestrator_slots: 3, ansible_group_priority: 2}
      hosts: {one: }
"""
    (entry,) = _load(tmp_path, text).entries

    assert entry.server.site == "child"
    assert entry.server.physical_host == "parent"
    assert entry.server.slots == 3
    assert entry.connection.port == 2


def test_servers_come_by_name_and_every_file_that_was_read_is_listed(tmp_path: Path) -> None:
    for folder in ("group_vars/all", "host_vars"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "10.yml").write_text("all: {hosts: {'b[1:2]': }}")
    (tmp_path / "20.yaml").write_text("all: {hosts: {a: }}")
    (tmp_path / "group_vars" / "all" / "login").write_text("ansible_user: u\n")
    (tmp_path / "host_vars" / "a.yml").write_text("ansible_user: v\n")
    (tmp_path / "host_vars" / "nobody.yml").write_text("- ignored as nothing has that name")
    (tmp_path / "group_vars" / "all" / "password.yml").write_text("ansible_password: p\n")

    loaded = load_inventory(tmp_path, environment={})

    assert [(e.server.name, e.connection.user) for e in loaded.entries] == [
        ("a", "v"),
        ("b1", "u"),
        ("b2", "u"),
    ]
    assert {str(Path(source).relative_to(tmp_path)) for source in loaded.sources} == {
        "10.yml",
        "20.yaml",
        "group_vars/all/login",
        "group_vars/all/password.yml",
        "host_vars/a.yml",
    }


def test_a_password_is_in_no_repr(tmp_path: Path) -> None:
    (entry,) = _load(
        tmp_path, "all: {hosts: {a: {ansible_user: u, ansible_password: s3cret}}}"
    ).entries

    assert "s3cret" not in repr(entry)


def test_the_list_for_people_hides_secrets_and_shows_where_they_come_from(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yml"
    path.write_text(
        """
all:
  hosts:
    a:
      ansible_user: u
      ansible_password: s3cret
      ansible_winrm_pass: "{{ lookup('env', 'PW') }}"
      nested: {api_key: s3cret, tokens: [s3cret, 5], plain: shown}
      vaulted: !vault cipher
      unsafe_password: !unsafe "s3cret {{ x }}"
"""
    )

    hidden = to_ansible_list(path, environment={})["_meta"]["hostvars"]["a"]
    shown = to_ansible_list(path, environment={}, show_secrets=True)["_meta"]["hostvars"]["a"]

    assert hidden == {
        "ansible_user": "u",
        "ansible_password": "(hidden)",
        "ansible_winrm_pass": "{{ lookup('env', 'PW') }}",
        "nested": {"api_key": "(hidden)", "tokens": ["(hidden)", "(hidden)"], "plain": "shown"},
        "vaulted": {"__ansible_vault": "cipher"},
        "unsafe_password": "(hidden)",
    }
    assert shown["ansible_password"] == "s3cret"
