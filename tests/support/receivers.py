"""A mail server and a webhook's receiver, each a thread of the test with what it got."""

import socketserver
import ssl
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class MailBox:
    """What the mail server got; of each sign-in "user:password", and whether it came encrypted.

    `refuses` is the answer to a recipient; `is_silent` lets every client wait.
    """

    url: str = ""
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    sign_ins: list[tuple[str, bool]] = field(default_factory=list)
    refuses: str = ""
    is_silent: bool = False
    released: threading.Event = field(default_factory=threading.Event)


@contextmanager
def mail_server(tls: ssl.SSLContext | None = None, *, is_encrypted_from_start: bool = False) -> Iterator[MailBox]:
    """Run a mail server that speaks as much SMTP as an e-mail needs; with `tls`, STARTTLS or TLS from the start."""
    box = MailBox()

    class Conversation(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            if box.is_silent:
                box.released.wait(30)
                return
            with suppress(OSError):  # whoever does not like the certificate hangs up
                if is_encrypted_from_start:
                    self.encrypt()
                self.converse()

        def encrypt(self) -> None:
            assert tls is not None
            self.connection = tls.wrap_socket(self.connection, server_side=True)
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)

        def converse(self) -> None:
            self.say("220 mail.test")
            while line := self.rfile.readline():
                words = line.decode().strip()
                match words.upper().split(" ")[0].split(":")[0]:
                    case "RCPT" if box.refuses:
                        self.say(box.refuses)
                    case "RCPT":
                        box.recipients.append(words.partition("<")[2].partition(">")[0])
                        self.say("250 ok")
                    case "DATA":
                        self.say("354 go on")
                        box.mails.append(message_from_bytes(self.text(), policy=policy.default))
                        self.say("250 taken")
                    case "EHLO" if tls is not None:
                        self.say("250-mail.test\r\n250-AUTH PLAIN\r\n250 STARTTLS")
                    case "STARTTLS":
                        self.say("220 begin")
                        self.encrypt()
                    case "AUTH":
                        _, user, password = b64decode(words.split(" ")[2]).decode().split("\0")
                        box.sign_ins.append((f"{user}:{password}", isinstance(self.connection, ssl.SSLSocket)))
                        self.say("235 welcome")
                    case "QUIT":
                        self.say("221 bye")
                        return
                    case _:
                        self.say("250 ok")

        def say(self, words: str) -> None:
            self.wfile.write(f"{words}\r\n".encode())

        def text(self) -> bytes:
            lines = iter(self.rfile.readline, b".\r\n")
            return b"".join(line.removeprefix(b".") if line.startswith(b"..") else line for line in lines)

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Conversation)) as port:
        box.url = f"{'smtps' if is_encrypted_from_start else 'smtp'}://127.0.0.1:{port}"
        yield box
        box.released.set()


@dataclass
class Request:
    """One request as the receiver saw it."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What the receiver of a webhook got; it gives the `answers` in turn, then 204. `is_silent` lets clients wait."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    location: str = ""
    is_silent: bool = False
    released: threading.Event = field(default_factory=threading.Event)


@contextmanager
def webhook_receiver() -> Iterator[Receiver]:
    """Run a web server that takes whatever is posted to it."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append(Request(self.path, dict(self.headers), body))
            if receiver.is_silent:
                receiver.released.wait(30)
            self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        receiver.url = f"http://127.0.0.1:{port}/hook?team=1"
        yield receiver
        receiver.released.set()


@contextmanager
def _serving(server: socketserver.ThreadingTCPServer) -> Iterator[int]:
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
