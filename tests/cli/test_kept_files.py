"""What FlexDash keeps on disk is for the user it runs as, and nobody else on the machine."""

import os
import subprocess
import sys

from config import PROJECT_DIR
from flexdash.cli.run_checks import DataFolderLock


def test_a_database_made_by_the_command_line_is_for_its_own_user_only(tmp_path):
    environment = {**os.environ, "FLEXDASH_ENV": "testing", "DATA_DIR": str(tmp_path)}
    environment["DATABASE_URL"] = f"sqlite:///{tmp_path}/kept.db"
    command = [sys.executable, "-m", "flexdash", "migrate"]
    subprocess.run(command, env=environment, cwd=PROJECT_DIR, check=True, capture_output=True, umask=0o022)
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert modes["kept.db"] == 0o600
    assert set(modes.values()) == {0o600}


def test_a_data_folder_is_made_for_its_own_user_only(tmp_path):
    lock = DataFolderLock(tmp_path / "var")
    lock.acquire("http://127.0.0.1:8000")
    lock.release()
    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700
