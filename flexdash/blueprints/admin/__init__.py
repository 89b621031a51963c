"""Where admins look after the people, sellers and hubs of their workspace."""

from flask import Blueprint

blueprint = Blueprint("admin", __name__, url_prefix="/admin")

# The views hang on the blueprint.
from flexdash.blueprints.admin import hubs, sellers, users  # noqa: E402, F401
