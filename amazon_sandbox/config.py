"""The sandbox's own settings, from `SANDBOX_…` variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
CALLBACK_PATH = "/amazon/callback"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Where the sandbox listens and keeps its data, and the app it knows. `data_dir=None` keeps all in memory;
    an empty `public_url` means the address of each request; empty `redirect_uris` admit any loopback address
    ending in `/amazon/callback`. `instance` is told by `/healthz`; a program tied to its standard input stops when
    that ends, so that it never outlives the test that started it."""

    port: int = 8100
    bind: str = "127.0.0.1"
    data_dir: Path | None = None
    public_url: str = ""
    client_id: str = "amzn1.application-oa2-client.flexdash-sandbox"
    client_secret: str = "flexdash-sandbox-secret"  # noqa: S105 - public on purpose: it opens nothing but this sandbox
    application_id: str = "amzn1.sellerapps.app.flexdash-sandbox"
    app_name: str = "FlexDash"
    redirect_uris: tuple[str, ...] = ()
    app_login_uri: str = "http://127.0.0.1:8000/amazon/login"
    app_is_draft: bool = False
    instance: str = ""
    is_tied_to_stdin: bool = False

    def is_registered(self, redirect_uri: str) -> bool:
        """Whether the app registered this redirect URI."""
        if self.redirect_uris:
            return redirect_uri in self.redirect_uris
        return is_loopback(redirect_uri) and urlsplit(redirect_uri).path == CALLBACK_PATH


def is_loopback(url: str) -> bool:
    """Whether the URL is http(s) to this very machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.hostname in LOOPBACK_NAMES


def from_environment(environ: Mapping[str, str] = os.environ) -> Config:
    """The settings; ValueError says which variable is wrong and how to mend it."""
    default = Config()
    given = {name[8:].lower(): value for name, value in environ.items() if name.startswith("SANDBOX_") and value}
    port = given.get("port", str(default.port))
    if not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"SANDBOX_PORT is {port!r}, not a port number. Set one from 1 to 65535.")
    public_url = given.get("public_url", "").rstrip("/")
    if public_url and urlsplit(public_url).scheme not in ("http", "https"):
        raise ValueError(f"SANDBOX_PUBLIC_URL is {public_url!r}. Set an address such as http://127.0.0.1:8100.")
    return Config(
        port=int(port),
        bind=given.get("bind", default.bind),
        data_dir=Path(given.get("data_dir", "var/sandbox")),
        public_url=public_url,
        client_id=given.get("client_id", default.client_id),
        client_secret=given.get("client_secret", default.client_secret),
        application_id=given.get("application_id", default.application_id),
        app_name=given.get("app_name", default.app_name),
        redirect_uris=tuple(uri.strip() for uri in given.get("redirect_uris", "").split(",") if uri.strip()),
        app_login_uri=given.get("app_login_uri", default.app_login_uri),
        app_is_draft=given.get("app_is_draft", "").lower() in ("1", "true", "yes", "on"),
        instance=given.get("instance", ""),
        is_tied_to_stdin=given.get("is_tied_to_stdin") == "1",
    )
