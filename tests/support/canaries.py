"""Looking for words that must stand nowhere in clear: in every table, the database's files and Redis."""

import itertools
import json
import subprocess
import zlib
from collections.abc import Iterator

import redis
from sqlalchemy import inspect, text
from sqlalchemy.engine import make_url

from config import Settings
from flexdash.extensions import db
from tests.support.databases import is_postgres


def found_in(haystack: bytes, canaries: list[str]) -> list[str]:
    """Return the canaries that stand in `haystack`, as they are or as JSON writes them."""
    return [
        word for word in canaries if any(form in haystack for form in (word.encode(), json.dumps(word)[1:-1].encode()))
    ]


def all_values() -> Iterator[bytes]:
    """Yield every text and every byte value of every table."""
    with db.engine.connect() as connection:
        for table in inspect(connection).get_table_names():
            for found in connection.execute(text(f'SELECT * FROM "{table}"')):
                for value in found:
                    yield bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


def files(settings: Settings) -> Iterator[bytes]:
    """Yield SQLite's files, freed pages and log included; PostgreSQL's are the server's.

    Another process reads them: closing a file of SQLite's gives up the locks that this process's connections hold on
    it, and the next process to close the database would then take the log away from under them.
    """
    if is_postgres():
        return
    path = make_url(settings.database_url).database
    for suffix in ("", "-wal"):
        yield subprocess.run(["cat", path + suffix], stdout=subprocess.PIPE, check=True).stdout


def all_of_redis(url: str) -> Iterator[bytes]:
    """Yield every key with all of its value; what RQ compressed is yielded unpacked too."""
    readers = {
        b"string": lambda c, key: [c.get(key)],
        b"hash": lambda c, key: itertools.chain.from_iterable(c.hgetall(key).items()),
        b"list": lambda c, key: c.lrange(key, 0, -1),
        b"set": lambda c, key: c.smembers(key),
        b"zset": lambda c, key: c.zrange(key, 0, -1),
        b"stream": lambda c, key: [repr(c.xrange(key)).encode()],
    }
    with redis.Redis.from_url(url) as connection:
        keys = list(connection.scan_iter())
        assert keys
        for key in keys:
            yield key
            for value in readers[connection.type(key)](connection, key):
                yield value
                yield _unpacked(value)


def _unpacked(value: bytes) -> bytes:
    try:
        return zlib.decompress(value)
    except zlib.error:
        return b""
