"""What FlexDash keeps on disk is for the user it runs as, and nobody else on the machine."""

import os

from flexdash.cli.run_checks import DataFolderLock
from tests.support import nursery


def test_a_database_made_by_the_command_line_is_for_its_own_user_only(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    environment = {**os.environ, "FLEXDASH_ENV": "testing", "DATA_DIR": str(folder)}
    environment["DATABASE_URL"] = f"sqlite:///{folder}/kept.db"
    with (tmp_path / "output").open("wb") as output:
        assert nursery.fork("flexdash", ["migrate"], environment, output, umask=0o022).wait(timeout=60) == 0
    modes = {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}
    assert modes["kept.db"] == 0o600
    assert set(modes.values()) == {0o600}


def test_a_data_folder_is_made_for_its_own_user_only(tmp_path):
    lock = DataFolderLock(tmp_path / "var")
    lock.acquire("http://127.0.0.1:8000")
    lock.release()
    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700
