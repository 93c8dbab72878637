"""Certificates of the tests' own, and receivers that speak TLS with them."""

import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from socket import SHUT_WR, socket

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from support.receiver import Answer, Receiver

DAY = timedelta(days=1)


class Authority:
    """Signs certificates; ``ca_file`` is its own."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        self._certificate = (
            _builder(self._name, self._name, self._key, now + DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = self._certificate.public_bytes(Encoding.PEM)
        self.ca_file = folder / f"{name}.pem"
        self.ca_file.write_bytes(self.pem)

    def issue(
        self, name: str, *hosts: str, until: datetime | None = None, password: bytes = b""
    ) -> tuple[Path, Path]:
        """Return the files of a certificate for ``hosts``, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            _builder(subject, self._name, key, until or datetime.now(UTC) + DAY)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
        )
        if hosts:
            names = x509.SubjectAlternativeName([_general(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        cert = self.folder / f"{name}.crt"
        private = self.folder / f"{name}.key"
        cert.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        sealed = BestAvailableEncryption(password) if password else NoEncryption()
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealed))
        return cert, private


def _builder(subject, issuer, key, until) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - 30 * DAY)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


class TlsReceiver(Receiver):
    """A receiver behind TLS; with ``clients`` it demands a certificate that this authority signed."""

    def __init__(
        self, cert: Path, key: Path, clients: Path | None = None, answer: Answer | None = None
    ) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        self.connections = 0
        self.asked_for: list[str | None] = []  # the names in the greetings (SNI)
        self.context.sni_callback = lambda _socket, name, _context: self.asked_for.append(name)
        if clients:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(clients)
        super().__init__(answer or Answer())

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def _server_class(self):
        receiver = self

        class Server(super()._server_class()):
            def get_request(self):
                plain, address = super().get_request()
                receiver.connections += 1
                plain.settimeout(10)
                # The handshake is made by the thread that answers, so that a bad one blocks no other.
                wrapped = receiver.context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
                return wrapped, address

            def handle_error(self, request, client_address) -> None:
                """Linger, as servers do: a reset would overtake the alert that says what is wrong."""
                with suppress(OSError):
                    socket.shutdown(request, SHUT_WR)
                    while socket.recv(request, 4_096):  # past TLS, to the socket itself
                        pass

        return Server
