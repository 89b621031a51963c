"""The home page: every store's state in plain words."""

from flexdash.blueprints.home.routes import blueprint

__all__ = ["blueprint"]
