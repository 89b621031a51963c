"""Signing in and out, and the pages where people look after their own account."""

from flask import Blueprint

blueprint = Blueprint("auth", __name__)

# The views hang on the blueprint and the loader on the login manager.
from flexdash.blueprints.auth import account, loader, routes  # noqa: E402, F401
