"""What `flexdash run` finds out before it starts: who holds the port, who uses the data folder."""

import os
import socket
import subprocess
import sys

import pytest

from flexdash.cli.run_checks import AlreadyRunning, DataFolderLock, Instance, free_port, holder_of, is_free
from tests.support.servers import reserved_socket


@pytest.fixture
def listening():
    """A socket this process listens on."""
    with reserved_socket() as held:
        held.listen()
        yield held


def test_a_port_that_is_listened_on_is_not_free_and_its_holder_is_named(listening):
    port = listening.getsockname()[1]
    assert not is_free("127.0.0.1", port)
    assert holder_of(port).startswith(f"process {os.getpid()} (")


def test_a_free_port_is_free_and_stays_so():
    with reserved_socket() as held:
        port = held.getsockname()[1]
    assert is_free("127.0.0.1", port)
    assert is_free("127.0.0.1", port)


def test_an_address_that_is_not_this_machines_is_an_error():
    with pytest.raises(OSError, match="assign"):
        is_free("203.0.113.1", 8000)


def test_the_next_free_port_is_taken_when_one_is_held(listening):
    port = listening.getsockname()[1]
    found = free_port("127.0.0.1", port)
    assert found != port
    assert is_free("127.0.0.1", found)


def test_a_port_past_the_last_one_is_never_suggested():
    assert 1 <= free_port("127.0.0.1", 65536) <= 65535


def test_nobody_on_the_port_is_said_without_a_guess():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        assert holder_of(probe.getsockname()[1]) == "a process of another user"


def test_a_data_folder_serves_one_flexdash_at_a_time(tmp_path):
    first, second = DataFolderLock(tmp_path), DataFolderLock(tmp_path)
    first.acquire("http://127.0.0.1:8000")
    with pytest.raises(AlreadyRunning) as caught:
        second.acquire("http://127.0.0.1:9000")
    assert caught.value.instance == Instance(os.getpid(), "http://127.0.0.1:8000")
    first.release()
    second.acquire("http://127.0.0.1:9000")
    second.release()


def test_a_folder_is_free_again_after_its_flexdash_was_killed(tmp_path):
    code = (
        "import sys; from pathlib import Path; from flexdash.cli.run_checks import DataFolderLock\n"
        "lock = DataFolderLock(Path(sys.argv[1])); lock.acquire('http://127.0.0.1:8000'); print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(AlreadyRunning):
            DataFolderLock(tmp_path).acquire("http://127.0.0.1:9000")
    finally:
        holder.kill()
        holder.communicate()
    lock = DataFolderLock(tmp_path).acquire("http://127.0.0.1:9000")
    lock.release()


def test_a_note_that_cannot_be_read_still_counts_as_running(tmp_path):
    first = DataFolderLock(tmp_path).acquire("http://127.0.0.1:8000")
    (tmp_path / "flexdash.lock").write_text("{")
    with pytest.raises(AlreadyRunning) as caught:
        DataFolderLock(tmp_path).acquire("http://127.0.0.1:9000")
    assert caught.value.instance is None
    first.release()
