"""FlexDash: keeps an Amazon Seller Flex store and a merchant's order management in step."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from config import Settings


def create_app(settings: Settings | None = None, *, has_pages: bool = True) -> Flask:
    """Return the application, set up from `settings` (by default those of the environment).

    Without pages it is what workers and the command line need: it starts in half the time, and answers no request.
    Raises config.SettingsError naming every setting that is missing or wrong.
    """
    from flexdash import factory  # not at the top: the supervisor of `make run` and the command line's help need no app

    return factory.create_app(settings, has_pages=has_pages)
