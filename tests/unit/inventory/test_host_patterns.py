"""Host patterns expand as Ansible expands them; what names no host is refused."""

from __future__ import annotations

import pytest

from orchestrator.inventory.patterns import expand


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("web", ["web"]),
        ("web[1:3]", ["web1", "web2", "web3"]),
        ("web[08:10].example", ["web08.example", "web09.example", "web10.example"]),
        ("web[0:10:5]", ["web0", "web5", "web10"]),
        ("web[:1]", ["web0", "web1"]),
        ("r[a:c]", ["ra", "rb", "rc"]),
        ("r[y:B]", ["ry", "rz", "rA", "rB"]),
        ("r[a:b]-[1:2]", ["ra-1", "ra-2", "rb-1", "rb-2"]),
        ("192.0.2.[9:10]", ["192.0.2.9", "192.0.2.10"]),
        ("2001:db8::[1:2]", ["2001:db8::1", "2001:db8::2"]),
        ("遊戲-1", ["遊戲-1"]),
    ],
)
def test_a_pattern_names_its_hosts(pattern: str, names: list[str]) -> None:
    assert expand(pattern) == (names, None)


@pytest.mark.parametrize(
    ("pattern", "names", "port"),
    [
        ("web:5985", ["web"], 5985),
        ("web[1:2]:5985", ["web1", "web2"], 5985),
        ("192.0.2.1:5986", ["192.0.2.1"], 5986),
        ("[2001:db8::1]:5986", ["2001:db8::1"], 5986),
    ],
)
def test_a_pattern_can_end_with_a_port(pattern: str, names: list[str], port: int) -> None:
    assert expand(pattern) == (names, port)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("web[1:3", "a range is written"),
        ("web[]", "a range is written"),
        ("web[1:]", "no range"),
        ("web[3:1]", "ends before it begins"),
        ("web[c:a]", "ends before it begins"),
        ("web[a:3]", "no range"),
        ("web[aa:bb]", "no range"),
        ("web[01:100]", "same number of digits"),
        ("web[1:3:0]", "step"),
        ("web[1:3:x]", "step"),
        ("web[1:99999999]", "more than 10000 hosts"),
        ("a[1:999]b[1:999]", "more than 10000 hosts"),
        ("two words", "letters, digits"),
        ("web/1", "letters, digits"),
        ("-web", "letters, digits"),
        ("", "letters, digits"),
        ("web:99999", "no port"),
        ("http://web", "letters, digits"),
        ("w" * 129, "at most 128"),
    ],
)
def test_a_pattern_that_names_no_host_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        expand(pattern)
