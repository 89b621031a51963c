"""The fixtures of the browser tests."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page

from flexdash.models import User
from tests.support.clicking import bring_session
from tests.support.web import sign_in


@pytest.fixture
def window(app: Flask, live_server: str, browser: Browser) -> Iterator[Callable[..., Page]]:
    """Gives a window in which the given person is signed in, opened as Playwright's `new_context` is told to.

    Each call gives another one, with cookies of its own; tests of the sign-in page go through that page.
    """
    with ExitStack() as opened:

        def open_window(person: User, **how: object) -> Page:
            context = browser.new_context(base_url=live_server, **how)  # type: ignore[arg-type]
            opened.callback(context.close)
            page = context.new_page()
            bring_session(page, live_server, sign_in(app.test_client(), person))
            return page

        yield open_window
