"""A small stand-in for Amazon over real HTTP, scripted by each test."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GOOD_TOKEN = {"access_token": "Atza|good", "refresh_token": "Atzr|seller", "token_type": "bearer", "expires_in": 3600}


@dataclass
class Seen:
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Give:
    """An answer. `cuts` closes the connection in the middle of the body, `hangs` sends nothing for so many seconds."""

    status: int = 200
    data: Any = None
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cuts: bool = False
    hangs: float = 0


def error(status: int, code: str = "SC_00000", message: str = "Fault", details: str = "", **headers: str) -> Give:
    given = {"errors": [{"code": code, "message": message, "details": details}]}
    return Give(status, given, headers={name.replace("_", "-"): value for name, value in headers.items()})


EXPIRED = error(
    403, "Unauthorized", "Access to requested resource is denied.", "The access token you provided has expired."
)
REVOKED = error(
    403,
    "Unauthorized",
    "Access to requested resource is denied.",
    "The access token you provided is revoked, malformed or invalid.",
)
NO_ROLE = error(403, "Unauthorized", "Access to requested resource is denied.", "")


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Some tests hang up on purpose, and the noise would hide what matters."""


class Stub:
    """`answers` is a list that is used up one by one (the last one stays), or a function of the request."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.token_calls: list[Seen] = []
        self.answers: list[Give] | Callable[[Seen], Give] = [Give(200, {})]
        self.token_answers: list[Give] | Callable[[Seen], Give] = [Give(200, GOOD_TOKEN)]
        self._lock = threading.Lock()
        self._server = QuietServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.005})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def lwa_url(self) -> str:
        return f"{self.url}/auth/o2/token"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def give(self, seen: Seen) -> Give:
        is_token_call = seen.path == "/auth/o2/token"
        with self._lock:
            (self.token_calls if is_token_call else self.seen).append(seen)
            answers = self.token_answers if is_token_call else self.answers
            if isinstance(answers, list):
                return answers.pop(0) if len(answers) > 1 else answers[0]
        return answers(seen)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path, _, query = self.path.partition("?")
                headers = {name.lower(): value for name, value in self.headers.items()}
                give = stub.give(Seen(self.command, path, query, headers, body))
                if give.hangs:
                    time.sleep(give.hangs)
                    self.close_connection = True
                    return
                content = give.body if give.body is not None else b""
                if give.body is None and give.data is not None:
                    content = json.dumps(give.data).encode()
                self.send_response(give.status)
                for name, value in give.headers.items():
                    self.send_header(name, value)
                if give.status != 204:
                    self.send_header("Content-Length", str(len(content) + (100 if give.cuts else 0)))
                self.end_headers()
                self.wfile.write(content)
                if give.cuts:
                    self.close_connection = True

            do_GET = do_POST = do_PUT = do_PATCH = _do

            def log_message(self, *args: Any) -> None:
                pass

        return Handler


class AmazonBucket:
    """Amazon's side of a usage plan, on whatever clock it is told."""

    def __init__(self, rate: float, burst: float, *, n_left: float, now: float) -> None:
        self.rate, self.burst, self.n_left, self.now = rate, burst, n_left, now
        self.n_refused = 0
        self.n_allowed = 0

    def take(self, now: float) -> bool:
        self.n_left = min(self.burst, self.n_left + max(0.0, now - self.now) * self.rate)
        self.now = max(now, self.now)
        if self.n_left < 1 - 1e-9:
            self.n_refused += 1
            return False
        self.n_left -= 1
        self.n_allowed += 1
        return True
