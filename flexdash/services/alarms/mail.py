"""Sending one e-mail over SMTP: encrypted where the server can, and never for longer than half a minute."""

import smtplib
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

from flexdash import clock
from flexdash.redaction import redacted_text
from flexdash.services.alarms.in_time import in_time
from flexdash.services.alarms.refusals import NotDelivered
from flexdash.services.words import one_line, shortened

ANSWER_SECONDS = 10.0
WHOLE_SECONDS = 30.0


@dataclass(frozen=True)
class MailServer:
    """Where e-mails are handed in, as SMTP_URL names it."""

    host: str
    port: int
    is_encrypted_from_start: bool
    user: str = ""
    password: str = ""

    @classmethod
    def of_url(cls, url: str) -> "MailServer":
        """Read a checked SMTP_URL."""
        parts = urlsplit(url)
        is_smtps = parts.scheme == "smtps"
        return cls(
            host=parts.hostname or "",
            port=parts.port or (465 if is_smtps else 587 if parts.username else 25),
            is_encrypted_from_start=is_smtps,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )


def send(server: MailServer, sender: str, recipient: str, subject: str, text: str, message_id: str) -> None:
    """Hand one e-mail to the mail server; raises NotDelivered with what went wrong, in words.

    With a user name the connection must be encrypted before the password is sent; without one it is if it can be.
    """
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"], message["To"], message["Subject"] = sender, recipient, one_line(subject)
    message["Date"], message["Message-ID"] = format_datetime(clock.now()), message_id
    message["Auto-Submitted"] = "auto-generated"  # no holiday replies
    message.set_content(text)
    connection: smtplib.SMTP | None = None

    def its_socket() -> socket.socket | None:
        return connection.sock if connection is not None else None

    try:
        with in_time(WHOLE_SECONDS, its_socket):
            connection = _unconnected(server)
            _hand_in(connection, server, message, sender, recipient)
    except (smtplib.SMTPException, OSError) as error:
        raise _refusal(error) from error
    finally:
        if connection is not None:
            with suppress(OSError):
                connection.close()


def _unconnected(server: MailServer) -> smtplib.SMTP:
    # Without a host the constructor does not connect yet, so that the socket can be ended from outside at any time.
    if server.is_encrypted_from_start:
        return smtplib.SMTP_SSL(timeout=ANSWER_SECONDS, context=ssl.create_default_context())
    return smtplib.SMTP(timeout=ANSWER_SECONDS)


def _hand_in(connection: smtplib.SMTP, server: MailServer, message: EmailMessage, sender: str, recipient: str) -> None:
    connection._host = server.host  # type: ignore[attr-defined] # the name that the certificate has to be for
    connection.connect(server.host, server.port)
    connection.ehlo_or_helo_if_needed()
    if not server.is_encrypted_from_start:
        if connection.has_extn("starttls"):
            connection.starttls(context=ssl.create_default_context())
            connection.ehlo()
        elif server.user:
            raise NotDelivered(
                "The mail server offers no encryption, so FlexDash did not send its password. Use smtps:// in "
                "SMTP_URL, or a server with STARTTLS."
            )
    if server.user:
        connection.login(server.user, server.password)
    connection.send_message(message, sender, [recipient])
    with suppress(smtplib.SMTPException, OSError):
        connection.quit()  # it is handed in; how the server says good-bye does not matter


def _refusal(error: Exception) -> NotDelivered:
    match error:
        case smtplib.SMTPAuthenticationError():
            return NotDelivered("The mail server refused the user name or password in SMTP_URL.")
        case smtplib.SMTPRecipientsRefused():
            code, words = next(iter(error.recipients.values()))
            return NotDelivered(f"The mail server refused the address: {_said(code, words)}", is_final=code >= 550)
        case smtplib.SMTPSenderRefused():
            return NotDelivered(
                f"The mail server refused the sender in MAIL_FROM: {_said(error.smtp_code, error.smtp_error)}"
            )
        case smtplib.SMTPResponseException():
            return NotDelivered(f"The mail server refused the message: {_said(error.smtp_code, error.smtp_error)}")
        case smtplib.SMTPNotSupportedError():
            return NotDelivered("The mail server takes no address with such letters.", is_final=True)
        case smtplib.SMTPServerDisconnected() | TimeoutError():
            return NotDelivered("The mail server did not answer in time.")
        case ssl.SSLError():
            return NotDelivered("The mail server's certificate could not be verified, so nothing was sent.")
        case socket.gaierror():
            return NotDelivered("The mail server's name in SMTP_URL cannot be found.")
        case _:
            return NotDelivered("The mail server could not be reached.")


def _said(code: int, words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return shortened(f"{code} {redacted_text(one_line(text))}", 200)
