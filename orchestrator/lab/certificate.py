"""Certificates for the lab's HTTPS."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LOOPBACK: tuple[x509.GeneralName, ...] = (
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A key with its self-signed certificate for loopback, and the certificate alone.

    The first is for the server, the second what a client trusts.
    """
    authority = Authority("lab.example")
    both, alone = folder / "lab-server.pem", folder / "lab-ca.pem"
    both.write_bytes(authority.key_pem + authority.pem)
    both.chmod(0o600)
    alone.write_bytes(authority.pem)
    return both, alone


class Authority:
    """A CA that signs itself, for loopback too, and whatever it is asked to."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        builder = _builder(self._name, self._name, self._key.public_key(), _LOOPBACK, (-1, 30))
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.pem = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        self.key_pem = _key_pem(self._key)

    def issue(
        self,
        name: str,
        *,
        hosts: Sequence[x509.GeneralName] = (),
        valid: tuple[int, int] = (-1, 30),
        digest: hashes.SHA256 | hashes.SHA384 | None = None,
    ) -> bytes:
        """Key and certificate in PEM, valid from and to so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_named(name), self._name, key.public_key(), hosts, valid)
        certificate = builder.sign(self._key, digest or hashes.SHA256())
        return _key_pem(key) + certificate.public_bytes(serialization.Encoding.PEM)


def _builder(
    name: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    hosts: Sequence[x509.GeneralName],
    valid: tuple[int, int],
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=valid[0]))
        .not_valid_after(now + timedelta(days=valid[1]))
    )
    if not hosts:
        return builder
    return builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
