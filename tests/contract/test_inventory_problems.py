"""What is wrong in an inventory: every problem, its place, and what to write instead."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchestrator.domain.errors import InventoryError
from orchestrator.inventory import load_inventory

_LOGIN = "ansible_user: u\n    ansible_password: p"


def _problems(path: Path, environment: dict[str, str] | None = None) -> list[str]:
    """Every problem as ``file:line:column: message``, the file without its folder."""
    with pytest.raises(InventoryError) as caught:
        load_inventory(path, environment=environment or {})
    folder = path if path.is_dir() else path.parent
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def _hosts(folder: Path, text: str) -> Path:
    path = folder / "hosts.yml"
    path.write_text(text, encoding="utf-8")
    return path


def _one_host(folder: Path, *lines: str, login: str = _LOGIN) -> Path:
    body = "".join(f"      {line}\n" for line in lines)
    return _hosts(folder, f"all:\n  vars:\n    {login}\n  hosts:\n    one:\n{body}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "hosts.yml:1:1: the file is empty: begin with 'all:'"),
        ("# nothing\n---\n", "hosts.yml:3:1: the file is empty"),
        ("- a\n", "hosts.yml:1:1: an inventory begins with groups: write 'all:' first"),
        ("all:\n", "hosts.yml:1:1: there are no hosts: write 'all:'"),
        ("plugin: aws_ec2\n", "hosts.yml:1:1: this configures an inventory plugin"),
        ("all:\n\thosts:\n", "hosts.yml:2:1: is not YAML: found character '\\t'"),
        ("all:\n  hosts:\n    a:\n   b:\n", "hosts.yml:4:4: is not YAML: expected <block end>"),
        ("all:\n  x: y: z\n", "hosts.yml:2:7: is not YAML: mapping values are not allowed"),
        ("all:\n  x: %a\n", "hosts.yml:2:6: is not YAML: found character '%'"),
        (
            "# servers\n[web]\none ansible_host=192.0.2.1\n",
            "hosts.yml:3:1: this looks like an INI inventory, and only YAML is read: write",
        ),
        ("[web:vars]\na=b\n", "hosts.yml:2:1: this looks like an INI inventory"),
        ("all: 'x\n", "hosts.yml:2:1: is not YAML: found unexpected end of stream: a quote"),
        ("all: \x01\n", "hosts.yml:1:6: is not YAML: the character #x0001 is not allowed"),
        ("all:\n--- \nall:\n", "hosts.yml:2:1: is not YAML: but found another document"),
        ("all: " + "[" * 3000, "hosts.yml:1:1: is nested too deeply"),
        ("all: &a\n  vars: {x: *a}\n", "hosts.yml:1:6: this value contains itself"),
        ("web: foo\n", "hosts.yml:1:6: group 'web' must be a mapping"),
        ("a b:\n", "hosts.yml:1:1: 'a b' cannot name a group"),
        ("all:\n  hosts:\n  - a\n", "hosts.yml:3:3: hosts must be a mapping: write 'name:' lines"),
        ("all:\n  vars: x\n", "hosts.yml:2:9: vars must be a mapping: write 'name: value' lines"),
        ("all:\n  hots: {a: }\n", "hosts.yml:2:3: a group has no 'hots': write hosts, children"),
        ("all:\n  hosts:\n    007:\n", "hosts.yml:3:5: 007 is not text to YAML: to name a host"),
        ("all:\n  vars:\n    on: 1\n", "hosts.yml:3:5: on is not text to YAML: to name a variable"),
        ("1:\n", "hosts.yml:1:1: 1 is not text to YAML: to name a group, write it in quotes"),
        ("all:\n  hosts:\n    a[3:1]:\n", "hosts.yml:3:5: 'a[3:1]' cannot name a host: [3:1] ends"),
        ("all:\n  hosts:\n    a: x\n", "hosts.yml:3:8: host 'a' must have 'name: value' lines"),
        (
            "a:\n  children:\n    b:\n      children:\n        a:\n",
            "hosts.yml:5:9: group 'a' would",
        ),
        ("a:\n  children:\n    a:\n", "hosts.yml:3:5: group 'a' would be inside itself"),
        ("a:\n  children:\n    all:\n", "hosts.yml:3:5: group 'all' would be inside itself"),
        ("a:\n  hosts:\n    a:\n", "hosts.yml:3:5: 'a' names a host and a group (hosts.yml:1)"),
        ("all:\n  vars:\n    x: !custom y\n", "hosts.yml:3:8: the tag !custom is not known here"),
        (
            "all:\n  vars:\n    x: !!set {a}\n",
            "hosts.yml:3:8: the tag tag:yaml.org,2002:set is not",
        ),
        (
            "all:\n  vars:\n    x: {{ y }}\n",
            "hosts.yml:3:9: a name must be plain text: put a value",
        ),
        (
            "all:\n  vars:\n    <<: {a: 1}\n    <<: {b: 1}\n",
            "hosts.yml:4:5: '<<' is here twice: write one",
        ),
        (
            "all:\n  vars:\n    x: &a 1\n    y: &a 2\n",
            "hosts.yml:4:8: the anchor &a is in line 3 already",
        ),
        ("..:\n", "hosts.yml:1:1: '..' cannot name a group"),
        ("all:\n  vars:\n    <<: 5\n", "hosts.yml:3:9: << must name a mapping"),
        (
            "all:\n  vars:\n    ansible_group_priority: high\n",
            "hosts.yml:3:29: ansible_group_priority must be a whole number",
        ),
    ],
)
def test_a_broken_file_is_refused_at_its_place(tmp_path: Path, text: str, problem: str) -> None:
    found = _problems(_hosts(tmp_path, text))

    assert any(each.startswith(problem) for each in found), found


def test_a_duplicate_host_names_both_places(tmp_path: Path) -> None:
    path = _hosts(tmp_path, "all:\n  hosts:\n    a:\n    b:\n    a:\n")

    assert "hosts.yml:5:5: 'a' is here twice (first in line 3): remove one, or join them" in (
        _problems(path)
    )


def test_a_missing_inventory_is_said_to_be_missing(tmp_path: Path) -> None:
    assert _problems(tmp_path / "no.yml") == [
        "no.yml:1:1: cannot be read: No such file or directory"
    ]


def test_a_file_in_another_encoding_is_refused_where_it_begins_to_differ(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yml"
    path.write_bytes("all:\n  hosts:\n    a: {x: 遊戲}\n".encode("big5"))

    assert _problems(path) == ["hosts.yml:3:12: is not UTF-8: save the file as UTF-8"]


def test_a_folder_with_an_inventory_of_another_format_is_refused(tmp_path: Path) -> None:
    _one_host(tmp_path)
    (tmp_path / "more.ini").write_text("[web]\nx\n")

    assert _problems(tmp_path)[0].startswith("more.ini:1:1: only YAML inventories are read")


def test_every_problem_is_found_at_once_and_in_order(tmp_path: Path) -> None:
    path = _one_host(
        tmp_path,
        "ansible_port: 99999",
        "orchestrator_slts: 1",
        "orchestrator_modes: [periodik]",
        "orchestrator_site: \"{{ lookup('env', 'NO_SUCH') }}\"",
    )
    (tmp_path / "host_vars").mkdir()
    (tmp_path / "host_vars" / "one.yml").write_text("orchestrator_ports: 5\n")

    found = _problems(path)

    assert [each.split(": ")[0] for each in found] == [
        "host_vars/one.yml:1:21",
        "hosts.yml:7:21",
        "hosts.yml:8:26",
        "hosts.yml:9:27",
        "hosts.yml:10:26",
    ]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (
            ["orchestrator_modes: [sunshine]"],
            "hosts.yml:7:27: mode sunshine calls Sunshine: write orchestrator_sunshine_user "
            "and orchestrator_sunshine_password too",
        ),
        (
            ["orchestrator_sunshine_user: s"],
            "hosts.yml:7:35: orchestrator_sunshine_user is of no use alone: "
            "write orchestrator_sunshine_password too",
        ),
        (
            ["orchestrator_sunshine_password: s"],
            "hosts.yml:7:39: orchestrator_sunshine_password is of no use alone: "
            "write orchestrator_sunshine_user too",
        ),
    ],
)
def test_sunshine_needs_its_login_whole(tmp_path: Path, lines: list[str], problem: str) -> None:
    assert _problems(_one_host(tmp_path, *lines)) == [problem]


def test_a_wrong_value_of_a_group_is_reported_once_and_where_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "group_vars").mkdir()
    text = "x: 1\nansible_port: lots\nansible_user: u\nansible_password: p\n"
    (tmp_path / "group_vars" / "all.yml").write_text(text)
    path = _hosts(tmp_path, "all:\n  hosts:\n    a[1:9]:\n")

    (problem,) = _problems(path)

    assert problem.startswith("group_vars/all.yml:2:15: ansible_port cannot be 'lots': write")


def test_a_misspelt_variable_is_found_even_where_no_host_has_it(tmp_path: Path) -> None:
    path = _one_host(tmp_path, "x: 1")
    path.write_text(path.read_text() + "empty:\n  vars:\n    orchestrator_sloths: 2\n")

    (problem,) = _problems(path)

    assert problem.startswith("hosts.yml:10:26: there is no variable orchestrator_sloths: did you")
    assert "orchestrator_slots" in problem


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{{ lookup('env', 'GONE') }}", "the environment variable GONE is not set"),
        ("{{ lookup('env', 'BLANK') }}", "the environment variable BLANK is empty"),
        ("{{ lookup('file', 'gone') }}", "gone cannot be read: No such file"),
        ("{{ lookup('file', 'blank') }}", "blank is empty"),
        ("{{ lookup('file', 'binary') }}", "binary cannot be read: it is not UTF-8"),
        ("{{ lookup('file', 'a\\0b') }}", "names no file"),
        ("{{ lookup('file', '.') }}", "cannot be read: Is a directory"),
        ("{{ lookup('pipe', 'id') }}", "this template is not supported: write {{ lookup('env'"),
        ("{{ lookup('env', 'A', 'B') }}", "this template is not supported"),
        ("{{ x | upper }}", "this template is not supported"),
        ("{% if x %}a{% endif %}", "this template is not supported"),
        ("{{ unfinished", "this template is not supported"),
        ("{# note #}a", "this template is not supported"),
        ("{{ nobody }}", "there is no variable nobody for one"),
        ("{{ ring }}", "the variables refer to each other in a circle: ring -> gnir -> ring"),
        ("a {{ many }}", "{{ many }} is no text"),
    ],
)
def test_a_value_that_cannot_be_found_out_is_a_problem(
    tmp_path: Path, value: str, message: str
) -> None:
    (tmp_path / "blank").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    path = _one_host(
        tmp_path,
        'ring: "{{ gnir }}"',
        'gnir: "{{ ring }}"',
        "many: [a, b]",
        f'orchestrator_site: "{value}"',
    )

    (problem,) = _problems(path, {"BLANK": ""})

    assert message in problem


@pytest.mark.parametrize(
    ("lines", "place", "message"),
    [
        (["ansible_winrm_read_timeout_sec: 20"], "7:39", "must be more than"),
        (["ansible_winrm_operation_timeout_sec: 30"], "7:44", "must be more than"),
        (["orchestrator_slots: 51"], "7:27", "51 slots need 102 ports, 8554-8653 has 100"),
        (["orchestrator_ports: 9000-9000"], "7:27", "1 slots need 2 ports"),
        (
            ["ansible_winrm_transport: basic", "ansible_winrm_scheme: http"],
            "7:32",
            "basic over http sends the password in clear text: write ansible_winrm_scheme: https",
        ),
        (
            ["ansible_winrm_transport: ssl", "ansible_port: 5985"],
            "7:32",
            "transport ssl is Basic over https",
        ),
        (
            ["ansible_winrm_message_encryption: always", "ansible_winrm_transport: basic"],
            "7:41",
            "basic cannot seal messages",
        ),
        (
            ["ansible_winrm_transport: certificate", "ansible_winrm_scheme: http"],
            "7:32",
            "shown by TLS only: write ansible_winrm_scheme: https",
        ),
        (
            ["ansible_winrm_transport: certificate"],
            "7:32",
            "needs a certificate: write ansible_winrm_cert_pem",
        ),
        (
            ["ansible_winrm_cert_pem: /no/such.pem", "ansible_winrm_transport: certificate"],
            "7:31",
            "there is no file /no/such.pem",
        ),
        (
            ["ansible_winrm_keytab: /no/keys", "ansible_winrm_transport: kerberos"],
            "7:29",
            "there is no file /no/keys",
        ),
        (
            ["ansible_winrm_transport: kerberos", "ansible_host: 192.0.2.1"],
            "7:32",
            "not as 192.0.2.1: write ansible_winrm_kerberos_hostname_override",
        ),
        (
            ["ansible_winrm_user: 'GAMES\\me'", "ansible_winrm_transport: kerberos"],
            "7:27",
            "write me@REALM",
        ),
        (
            ["ansible_winrm_user: 'a:b'", "ansible_winrm_transport: ssl"],
            "7:27",
            "cannot carry a user with a colon",
        ),
        (
            [f"orchestrator_certificate_fingerprint: {'ab' * 32}", "ansible_port: 5985"],
            "7:45",
            "http has none: write ansible_winrm_scheme: https",
        ),
    ],
)
def test_values_that_do_not_go_together_are_a_problem(
    tmp_path: Path, lines: list[str], place: str, message: str
) -> None:
    (problem,) = _problems(_one_host(tmp_path, *lines))

    assert problem.startswith(f"hosts.yml:{place}: ")
    assert message in problem


@pytest.mark.parametrize(
    "lines",
    [
        ["ansible_winrm_transport: basic", "orchestrator_allow_cleartext: true"],
        ["ansible_winrm_transport: kerberos", "ansible_winrm_kinit_mode: manual"],
        ["ansible_winrm_transport: kerberos", "ansible_winrm_realm: GAMES.EXAMPLE"],
        ["ansible_winrm_transport: credssp", "ansible_winrm_credssp_auth_mechanism: ntlm"],
    ],
)
def test_a_way_in_over_http_that_was_allowed_or_is_sealed_is_taken(
    tmp_path: Path, lines: list[str]
) -> None:
    path = _one_host(tmp_path, "ansible_winrm_scheme: http", *lines)

    (entry,) = load_inventory(path, environment={}).entries

    assert entry.connection.scheme == "http"
    assert (entry.connection.password == "") == ("manual" in lines[1])


def test_kerberos_needs_no_password_unless_the_broker_is_to_get_tickets(tmp_path: Path) -> None:
    lines = ["ansible_winrm_transport: kerberos", "ansible_user: me@GAMES.EXAMPLE"]

    (entry,) = load_inventory(_one_host(tmp_path, *lines, login="x: 1"), environment={}).entries
    assert entry.connection.password == ""

    managed = _one_host(tmp_path, *lines, "ansible_winrm_kinit_mode: managed", login="x: 1")
    (problem,) = _problems(managed)
    assert "no ansible_password or ansible_winrm_keytab to get tickets by" in problem


def test_a_certificate_is_who_we_are_and_needs_no_account(tmp_path: Path) -> None:
    (tmp_path / "me.pem").write_text("")
    lines = ["ansible_winrm_transport: ssl", f"ansible_winrm_cert_pem: {tmp_path}/me.pem"]

    (entry,) = load_inventory(_one_host(tmp_path, *lines, login="x: 1"), environment={}).entries

    assert entry.connection.transport == "certificate"
    assert entry.connection.client_certificate == f"{tmp_path}/me.pem"


def test_a_proxys_password_is_not_shown(tmp_path: Path) -> None:
    (problem,) = _problems(_one_host(tmp_path, "ansible_winrm_proxy: socks5://u:s3cret@p:1"))

    assert "write http://HOST:PORT" in problem
    assert "s3cret" not in problem


def test_basic_over_http_is_taken_on_this_machine_itself(tmp_path: Path) -> None:
    lines = ["ansible_winrm_transport: basic", "ansible_port: 5985", "ansible_host: 127.0.0.1"]

    (entry,) = load_inventory(_one_host(tmp_path, *lines), environment={}).entries

    assert (entry.connection.scheme, entry.connection.transport) == ("http", "basic")


def test_a_server_without_an_account_is_a_problem_at_its_name(tmp_path: Path) -> None:
    found = _problems(_one_host(tmp_path, "x: 1", login="y: 1"))

    assert found == [
        "hosts.yml:5:5: one has no ansible_password: write it here or in a group",
        "hosts.yml:5:5: one has no ansible_user: write it here or in a group",
    ]


def test_what_may_stand_in_an_unreadable_file_is_not_said_to_be_missing(tmp_path: Path) -> None:
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "all.yml").write_text("ansible_user: 'u\n")

    (problem,) = _problems(_one_host(tmp_path, "x: 1", login="y: 1"))

    assert problem.startswith("group_vars/all.yml:2:1: is not YAML")


def test_a_name_that_cannot_be_an_address_needs_one(tmp_path: Path) -> None:
    text = f"all:\n  vars:\n    {_LOGIN}\n  hosts:\n    伺服器一:\n"

    (problem,) = _problems(_hosts(tmp_path, text))

    assert problem == "hosts.yml:6:5: 伺服器一 cannot be an address: write ansible_host"


def _two_hosts(folder: Path, one: str, two: str) -> Path:
    return _hosts(
        folder,
        f"all:\n  vars:\n    {_LOGIN}\n  hosts:\n    one: {{{one}}}\n    two: {{{two}}}\n",
    )


def test_two_servers_at_one_endpoint_are_a_problem_that_names_both(tmp_path: Path) -> None:
    path = _two_hosts(tmp_path, "ansible_host: A.example", "ansible_host: a.example")

    (problem,) = _problems(path)

    assert problem.startswith(
        "hosts.yml:7:25: two is at a.example:5986, which is one (hosts.yml:6)"
    )


def test_servers_behind_one_address_need_ports_of_their_own(tmp_path: Path) -> None:
    one = "ansible_host: a, orchestrator_stream_address: 192.0.2.1, orchestrator_ports: 1000-1999"
    two = "ansible_host: b, orchestrator_stream_address: 192.0.2.1, orchestrator_ports: "

    (problem,) = _problems(_two_hosts(tmp_path, one, f"{two} 1999-2999"))
    assert "two and one send players to one address, 192.0.2.1" in problem
    apart = load_inventory(_two_hosts(tmp_path, one, f"{two} 2000-2999"), environment={})
    assert len(apart.entries) == 2


@pytest.mark.parametrize(
    "lines",
    [
        ["ansible_password: [s3cret]"],
        ["ansible_password: 's3cret{{ x | y }}'"],
        ["ansible_winrm_pass: {a: s3cret}"],
        ["ansible_password: !!int s3cret"],
        ["ansible_password: 's3cret"],
        ["ansible_password: %s3cret"],
        ["ansible_password: !s3 s3cret"],
    ],
)
def test_no_problem_shows_a_password(tmp_path: Path, lines: list[str]) -> None:
    found = _problems(_one_host(tmp_path, *lines))

    assert found
    assert "s3cret" not in "\n".join(found)


def test_a_vaulted_value_needs_a_password(tmp_path: Path) -> None:
    (problem,) = _problems(_one_host(tmp_path, "ansible_winrm_path: !vault abc"))

    assert problem.startswith(
        "hosts.yml:7:27: this is encrypted and needs a password: name its file"
    )
    assert "ORCHESTRATOR_VAULT_PASSWORD_FILE" in problem


def test_a_vaulted_value_needs_ansible_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ansible.parsing.vault", None)
    (tmp_path / "password").write_text("x")
    path = _one_host(tmp_path, "ansible_winrm_path: !vault abc")

    (problem,) = _problems(path, {"ANSIBLE_VAULT_PASSWORD_FILE": str(tmp_path / "password")})

    assert "pip install 'game-orchestrator[vault]'" in problem


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (None, 0o600, "cannot be read: No such file"),
        ("\n", 0o600, "is empty"),
        ("#!/bin/sh\necho x\n", 0o700, "is a program"),
    ],
)
def test_a_password_file_that_is_none_is_a_problem(
    tmp_path: Path, content: str | None, mode: int, message: str
) -> None:
    password = tmp_path / "password"
    if content is not None:
        password.write_text(content)
        password.chmod(mode)
    path = _one_host(tmp_path, "ansible_winrm_path: !vault abc")

    (problem,) = _problems(path, {"ANSIBLE_VAULT_PASSWORD_FILE": str(password)})

    assert message in problem


@pytest.mark.ansible
def test_a_value_vaulted_with_another_password_is_a_problem_without_its_text(
    tmp_path: Path,
) -> None:
    vault = pytest.importorskip("ansible.parsing.vault")
    text = vault.VaultLib([("x", vault.VaultSecret(b"right"))]).encrypt("/s3cret").decode()
    block = "\n".join(f"        {line}" for line in text.splitlines())
    (tmp_path / "password").write_text("wrong")
    path = _one_host(tmp_path, f"ansible_winrm_path: !vault |\n{block}")

    (problem,) = _problems(path, {"ANSIBLE_VAULT_PASSWORD_FILE": str(tmp_path / "password")})

    assert "cannot be decrypted with the password in" in problem
    assert text.splitlines()[1] not in problem


def test_a_folder_of_variables_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    folder = tmp_path / "group_vars" / "all"
    folder.mkdir(parents=True)
    (folder / "a.yml").symlink_to(folder / "a.yml")
    (folder / "b.yml").mkdir()
    (folder / "c.yml").write_text("- x\n")

    (problem,) = _problems(_one_host(tmp_path, "x: 1"))

    assert problem.startswith("group_vars/all/c.yml:1:1: a file of variables holds 'name: value'")


def test_a_name_too_long_for_a_file_has_no_files(tmp_path: Path) -> None:
    text = f"all:\n  vars:\n    {_LOGIN}\n  hosts:\n    {'遊' * 120}: {{ansible_host: a}}\n"
    (tmp_path / "host_vars").mkdir()

    assert len(load_inventory(_hosts(tmp_path, text), environment={}).entries) == 1


def test_all_is_told_at_once_though_one_part_hides_another(tmp_path: Path) -> None:
    path = _one_host(
        tmp_path,
        "ansible_usr: games",
        "orchestrator_slot: 2",
        "ansible_winrm_transport: ntml",
        "ansible_winrm_operation_timeout_sec: 60",
        login="ansible_password: p",
    )
    found = _problems(path)
    assert [problem.split(": ", 1)[0] for problem in found] == [
        "hosts.yml:6:20",
        "hosts.yml:7:26",
        "hosts.yml:8:32",
        "hosts.yml:9:44",
    ]
    assert found[0] == (
        "hosts.yml:6:20: there is no variable ansible_usr, and ansible_user is missing: "
        "write ansible_user here"
    )
    assert "did you mean orchestrator_slots?" in found[1]
    assert "cannot be 'ntml': write ntlm or" in found[2]
    assert "must be more than" in found[3]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("ansible_winrm_transport: certificat", False),
        ("ansible_winrm_transport: kerbros", False),
        ("ansible_winrm_transport: ntml", True),
        ("ansible_winrm_scheme: htps", True),
        ("ansible_winrm_keytab: [1]", False),
    ],
)
def test_what_is_missing_is_told_unless_what_cannot_be_read_may_do_without(
    tmp_path: Path, line: str, told: bool
) -> None:
    found = _problems(_one_host(tmp_path, line, login="some: thing"))
    assert any("has no ansible_user" in problem for problem in found) is told
    assert sum(line.split(":")[0] in problem for problem in found) == 1


@pytest.mark.parametrize("other", ["ansible_ssh_user", "ansible_become_user", "ansible_shell_type"])
def test_what_is_ansibles_own_is_not_taken_for_a_slip(tmp_path: Path, other: str) -> None:
    found = _problems(_one_host(tmp_path, f"{other}: games", login="ansible_password: p"))
    assert found == ["hosts.yml:5:5: one has no ansible_user: write it here or in a group"]


def test_a_slip_in_a_group_is_told_once_for_all_its_hosts(tmp_path: Path) -> None:
    path = _hosts(
        tmp_path,
        "all:\n  vars:\n    ansible_user: u\n    ansible_passwd: p\n  hosts:\n    one:\n    two:\n",
    )
    (found,) = _problems(path)
    assert found.startswith("hosts.yml:4:21: there is no variable ansible_passwd")


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        (["ansible_host:127.0.0.1"], "7:7"),
        (["ansible_host:127.0.0.1", "ansible_port: 5985"], "7:7"),
        (["ansible_port: 5985", "ansible_host:127.0.0.1"], "8:7"),
        (["ansible_port: 5985", "ansible_host:127.0.0.1", "", "orchestrator_site: a"], "8:7"),
        (["ansible_host:127.0.0.1", "ansible_port:5985", "orchestrator_site: a"], "7:7"),
    ],
)
def test_a_missing_space_after_a_colon_is_told_where_it_is_missing(
    tmp_path: Path, lines: list[str], place: str
) -> None:
    (found,) = [p for p in _problems(_one_host(tmp_path, *lines)) if "colon" in p]
    assert found.startswith(f"hosts.yml:{place}: ")
    assert found.endswith("write a space after the colon of 'ansible_host:'")


def test_a_secret_without_a_space_before_it_is_not_shown(tmp_path: Path) -> None:
    path = _hosts(tmp_path, "all:\n  vars:\n    ansible_password:hunter2\n  hosts:\n    one:\n")
    found = _problems(path)
    assert "hosts.yml:3:5: write a space after the colon of 'ansible_password:'" in found
    assert "hunter2" not in str(found)


def test_a_hosts_port_is_not_taken_for_a_missing_space(tmp_path: Path) -> None:
    path = _hosts(tmp_path, "all:\n  hosts:\n    one:5985:\n      x: y: z\n")
    assert _problems(path)[0].startswith("hosts.yml:4:11: is not YAML: mapping values")
