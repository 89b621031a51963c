"""Readers for settings: each takes the variable's text and gives its value.

Each raises `ValueError` with what is wrong and how to mend it; `{value}` in the sentence stands for what was
found (`config.load_settings` puts it in, and leaves secrets out).
"""

import ipaddress
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from limits import parse_many
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

MAKE_KEY = 'python3 -c "import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())"'
_SHORTEST_TOKEN = 16


def text(value: str) -> str:
    """Any text."""
    return value


def token(value: str) -> str:
    """Text without white space, as Amazon's ids and secrets are."""
    if any(character.isspace() for character in value):
        raise ValueError("{value} holds white space, which no id of Amazon's has. Copy it again, without line ends.")
    return value


def long_token(value: str) -> str:
    """A secret without white space that nobody guesses."""
    if any(character.isspace() for character in value):
        raise ValueError("{value} holds white space, which a token cannot have.")
    if len(value) < _SHORTEST_TOKEN:
        raise ValueError(
            f"{{value}} has {len(value)} characters, which somebody might guess. Use at least {_SHORTEST_TOKEN}."
        )
    return value


def boolean(value: str) -> bool:
    """True or false, in the usual spellings."""
    spellings = {
        "true": True,
        "1": True,
        "yes": True,
        "on": True,
        "false": False,
        "0": False,
        "no": False,
        "off": False,
    }
    try:
        return spellings[value.lower()]
    except KeyError:
        raise ValueError("{value} is neither yes nor no. Write true or false.") from None


def one_of(*choices: str) -> Callable[[str], str]:
    """One word of a list, in any case."""

    def read(value: str) -> str:
        for choice in choices:
            if choice.lower() == value.lower():
                return choice
        raise ValueError(f"{{value}} is not known. Use one of: {', '.join(choices)}.")

    return read


def whole(low: int, high: int) -> Callable[[str], int]:
    """A whole number in a range."""

    def read(value: str) -> int:
        try:
            number_read = int(value)
        except ValueError:
            raise ValueError(f"{{value}} is not a whole number. Give one from {low} to {high}.") from None
        if not low <= number_read <= high:
            raise ValueError(f"{{value}} is out of range. Give a whole number from {low} to {high}.")
        return number_read

    return read


def number(low: float, high: float) -> Callable[[str], float]:
    """A number in a range."""

    def read(value: str) -> float:
        try:
            number_read = float(value)
        except ValueError:
            raise ValueError(f"{{value}} is not a number. Give one from {low:g} to {high:g}.") from None
        if not math.isfinite(number_read) or not low <= number_read <= high:
            raise ValueError(f"{{value}} is out of range. Give a number from {low:g} to {high:g}.")
        return number_read

    return read


def optional(reader: Callable[[str], Any]) -> Callable[[str], Any]:
    """Empty text, or what `reader` takes."""
    return lambda value: reader(value) if value else ""


def folder(base: Path) -> Callable[[str], Path]:
    """An absolute path; a relative one starts at `base`. Something else than a folder there is refused."""

    def read(value: str) -> Path:
        path = (base / Path(value).expanduser()).resolve()
        if path.exists() and not path.is_dir():
            raise ValueError("{value} is a file. Name a folder, or move the file away.")
        return path

    return read


def ip_address(value: str) -> str:
    """An IP address to listen on; `localhost` becomes 127.0.0.1."""
    if value == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError("{value} is not an IP address. Use 127.0.0.1, or 0.0.0.0 for all networks.") from None


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach `address`."""
    return ipaddress.ip_address(address).is_loopback


def url(value: str) -> str:
    """A web address with scheme and host."""
    try:
        parts = urlsplit(value)
        has_good_port = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError("{value} is not a web address. Write it like https://flexdash.example.com.") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not has_good_port or " " in value:
        raise ValueError("{value} is not a web address. Write it like https://flexdash.example.com.")
    if parts.username is not None:
        raise ValueError("it holds a user name or password. Leave them out of the address.")
    return value


def origin(value: str) -> str:
    """A web address without path, query or fragment; a slash at the end is dropped."""
    parts = urlsplit(url(value))
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("{value} goes on after the host. Give only scheme, host and port.")
    return f"{parts.scheme}://{parts.netloc}"


def fernet_keys(value: str) -> tuple[str, ...]:
    """Fernet keys separated by commas, at least one, none twice."""
    keys = tuple(key.strip() for key in value.split(",") if key.strip())
    if not keys:
        raise ValueError("there is no key in it. Give at least one Fernet key.")
    for place, key in enumerate(keys, start=1):
        try:
            Fernet(key)
        except ValueError:
            raise ValueError(
                f"key {place} of {len(keys)} is not a Fernet key (44 characters of URL-safe base64). "
                f"Make one with: {MAKE_KEY}"
            ) from None
    if len(set(keys)) < len(keys):
        raise ValueError("the same key stands in it twice. Remove one of the two.")
    return keys


def database_url(base: Path) -> Callable[[str], str]:
    """A SQLite or PostgreSQL address in SQLAlchemy's form; a relative SQLite path starts at `base`."""

    def read(value: str) -> str:
        for short in ("postgres://", "postgresql://"):
            if value.startswith(short):
                value = f"postgresql+psycopg://{value.removeprefix(short)}"
        try:
            parts = make_url(value)
        except (ArgumentError, ValueError):
            raise ValueError(
                "it is not a database address. Write sqlite:///path/to/file.db or postgresql://user:password@host/name."
            ) from None
        if parts.drivername in {"sqlite", "sqlite+pysqlite"}:
            if not parts.database or parts.database == ":memory:" or parts.database.startswith("file:"):
                raise ValueError(
                    "web server, worker and scheduler can only share a SQLite database that is a plain file. "
                    "Write sqlite:///path/to/file.db."
                )
            path = (base / parts.database).resolve()
            return parts.set(drivername="sqlite", database=str(path)).render_as_string(hide_password=False)
        if parts.drivername != "postgresql+psycopg":
            raise ValueError(
                f"FlexDash does not work with {parts.drivername}. Use sqlite:///path/to/file.db or "
                "postgresql://user:password@host/name."
            )
        if not parts.database:
            raise ValueError("it names no database. Add its name at the end: postgresql://user:password@host/name.")
        return value

    return read


def redis_url(value: str) -> str:
    """An address of a Redis server: redis://, rediss:// (encrypted) or unix://."""
    try:
        parts = urlsplit(value)
        is_good = parts.port is None or parts.port > 0
    except ValueError:
        is_good = False
    else:
        has_place = bool(parts.path) if parts.scheme == "unix" else bool(parts.hostname)
        is_good = is_good and has_place and parts.scheme in {"redis", "rediss", "unix"}
    if not is_good:
        raise ValueError(
            "it is not a Redis address. Write redis://host:6379/0, rediss://… for an encrypted one, or unix:///path."
        )
    return value


def rate_limits(value: str) -> str:
    """Limits as Flask-Limiter reads them, like `5 per minute;30 per hour`."""
    try:
        limits = parse_many(value)
    except ValueError:
        limits = []
    if not limits:
        raise ValueError("{value} is not a list of limits. Write it like 5 per minute;30 per hour.")
    return value


def smtp_url(value: str) -> str:
    """An address of a mail server: smtp:// (encrypted by STARTTLS where the server can) or smtps://."""
    try:
        parts = urlsplit(value)
        is_good = parts.port is None or parts.port > 0
    except ValueError:
        is_good = False
    else:
        has_both = bool(parts.username) == bool(parts.password)
        is_bare = parts.path in {"", "/"} and not parts.query and not parts.fragment
        is_good = is_good and parts.scheme in {"smtp", "smtps"} and bool(parts.hostname) and has_both and is_bare
    if not is_good:
        raise ValueError(
            "it is not a mail server's address. Write smtp://user:password@host:587 or smtps://user:password@host:465, "
            "with @, : and / in the password as %40, %3A and %2F."
        )
    return value


def email_address(value: str) -> str:
    """One e-mail address, without a name before it."""
    name, _, domain = value.partition("@")
    is_plain = value.isascii() and not any(character.isspace() or character in '<>",;' for character in value)
    if not name or "." not in domain or "@" in domain or not is_plain:
        raise ValueError("{value} is not an e-mail address. Write it like flexdash@company.example.")
    return value


def hosts(value: str) -> tuple[str, ...]:
    """Names of hosts separated by commas; none is fine."""
    names = tuple(name.strip().lower() for name in value.split(",") if name.strip())
    for name in names:
        if "/" in name or any(character.isspace() for character in name):
            raise ValueError("{value} is not a list of hosts. Write names only, like hooks.internal, chat.internal.")
    return names
