"""What `flexdash run` looks at before it starts anything: the port, and whether FlexDash already runs on this data."""

import errno
import fcntl
import json
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil


@dataclass(frozen=True)
class Instance:
    """A FlexDash that is running: the process to stop, and where people open it."""

    pid: int
    address: str


class AlreadyRunning(Exception):
    """Another FlexDash keeps its data in the same folder. `instance` says which, when it could be read."""

    def __init__(self, instance: Instance | None):
        self.instance = instance
        super().__init__("another FlexDash runs on this folder")


class DataFolderLock:
    """Holds a data folder for one running FlexDash; the kernel lets go of it however the process ends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "flexdash.lock"
        self._file: int | None = None

    def acquire(self, address: str) -> Self:
        """Take the folder and leave a note of who holds it; raise AlreadyRunning when another does."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note = os.read(file, 1000)
            os.close(file)
            raise AlreadyRunning(_instance_from(note)) from None
        os.ftruncate(file, 0)
        os.write(file, json.dumps({"pid": os.getpid(), "address": address}).encode())
        self._file = file
        return self

    def release(self) -> None:
        """Let go of the folder."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None


def _instance_from(note: bytes) -> Instance | None:
    with suppress(ValueError, KeyError, TypeError):
        found = json.loads(note)
        return Instance(pid=int(found["pid"]), address=str(found["address"]))
    return None


def is_free(address: str, port: int) -> bool:
    """Return whether a server could listen on `port` of `address`; raise OSError when the address itself is wrong."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def free_port(address: str, first: int) -> int:
    """Return `first` or the next port after it that is free; any free one when the next fifty are taken."""
    for port in range(first, min(first + 50, 65536)):
        if is_free(address, port):
            return port
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def holder_of(port: int) -> str:
    """Return in words which process listens on `port`, as far as this user may know."""
    try:
        listening = [
            connection.pid
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
        ]
    except psutil.AccessDenied:
        listening = []
    for pid in listening:
        if pid is None:
            continue
        with suppress(psutil.Error):
            command = " ".join(psutil.Process(pid).cmdline())
            return f"process {pid} ({command[:120]})"
    return "a process of another user"
