"""Certificates made on the spot: an authority, and what it says of a server."""

import datetime
import ssl
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


class Issued(NamedTuple):
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _issue(subject: str, issuer: Issued | None, names: list[x509.GeneralName], days: tuple[int, int]) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    signer = issuer or Issued(key, None)  # type: ignore[arg-type]
    made = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(issuer.certificate.subject if issuer else _name(subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * DAY)
        .not_valid_after(now + days[1] * DAY)
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
    )
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return Issued(key, made.sign(signer.key, hashes.SHA256()))


class Authority:
    """Signs server certificates; :meth:`client` trusts it and nobody else."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._own = _issue("Test authority", None, [], (-1, 10))

    def client(self) -> ssl.SSLContext:
        text = self._own.certificate.public_bytes(serialization.Encoding.PEM).decode()
        return ssl.create_default_context(cadata=text)

    def server(self, *names: str, days: tuple[int, int] = (-1, 5), self_signed: bool = False) -> ssl.SSLContext:
        """A server's context, its certificate being for these names and addresses."""
        found: list[x509.GeneralName] = []
        for name in names:
            is_address = ":" in name or name.replace(".", "").isdigit()
            found.append(x509.IPAddress(ip_address(name)) if is_address else x509.DNSName(name))
        issued = _issue(names[0], None if self_signed else self._own, found, days)
        path = self._directory / f"{issued.certificate.serial_number}.pem"
        path.write_bytes(
            issued.certificate.public_bytes(serialization.Encoding.PEM)
            + issued.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context
