"""E-mails over an encrypted line: STARTTLS and smtps with a real TLS server, and certificates that do not fit."""

import ipaddress
import ssl
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from flexdash import clock
from flexdash.services.alarms import mail
from flexdash.services.alarms.refusals import NotDelivered
from tests.support.receivers import MailBox, mail_server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Makes files of a certificate, its own authority, for an IP address: (certificate, key)."""

    def make(address: str):
        folder = tmp_path_factory.mktemp("certificate")
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.test")])
        san = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(clock.now() - timedelta(days=1))
            .not_valid_after(clock.now() + timedelta(days=1))
            .add_extension(san, critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / "key.pem").write_bytes(private)
        return str(folder / "cert.pem"), str(folder / "key.pem")

    return make


@pytest.fixture(scope="module")
def for_this_host(certificate):
    return certificate("127.0.0.1")


def context_of(files: tuple[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


def send_to(box: MailBox) -> None:
    server = mail.MailServer.of_url(box.url.replace("://", "://asha:s3cret@", 1))
    mail.send(server, "flexdash@example.com", "ops@example.com", "Order Sync stale", "Look.", "<1@flexdash>")


@pytest.mark.parametrize("is_from_start", [False, True], ids=["starttls", "smtps"])
def test_the_password_and_the_mail_go_over_an_encrypted_line_only(for_this_host, monkeypatch, is_from_start) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", for_this_host[0])
    with mail_server(context_of(for_this_host), is_encrypted_from_start=is_from_start) as box:
        send_to(box)
    assert [sent["Subject"] for sent in box.mails] == ["Order Sync stale"]
    assert [(who, is_encrypted) for who, is_encrypted in box.sign_ins] == [("asha:s3cret", True)]
    assert box.recipients == ["ops@example.com"]


@pytest.mark.parametrize("is_from_start", [False, True], ids=["starttls", "smtps"])
@pytest.mark.parametrize("is_trusted", [False, True], ids=["unknown authority", "of another host"])
def test_a_certificate_that_does_not_fit_gets_neither_password_nor_mail(
    certificate, for_this_host, monkeypatch, is_from_start, is_trusted
) -> None:
    files = certificate("127.0.0.9") if is_trusted else for_this_host
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", files[0])
    with (
        mail_server(context_of(files), is_encrypted_from_start=is_from_start) as box,
        pytest.raises(NotDelivered, match="certificate could not be verified, so nothing was sent"),
    ):
        send_to(box)
    assert (box.sign_ins, box.mails) == ([], [])
