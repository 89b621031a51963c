"""Chromium for the browser tests: the machine's own, found on the PATH."""

import os
import shutil

import pytest

_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-proxy-server"]


def launch_arguments() -> dict[str, object]:
    """Return how to start Chromium; skip the test where there is none, fail it under REQUIRE_ALL_TESTS."""
    # The headless shell is the same engine without the windows, menus and side pages of a desktop's browser, which cost
    # two thirds of the time where no graphics processor draws them.
    for name in ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return {"executable_path": path, "args": _ARGUMENTS, "headless": True}
    reason = "The browser tests need Chromium on the PATH (Debian: apt-get install chromium-headless-shell)."
    if os.environ.get("REQUIRE_ALL_TESTS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
