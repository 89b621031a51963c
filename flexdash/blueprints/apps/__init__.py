"""Apps & Integration: the apps of a seller, the wizard that connects one, and Amazon's way back into it."""

from flask import Blueprint

blueprint = Blueprint("apps", __name__)

# The views hang on the blueprint.
from flexdash.blueprints.apps import amazon_return, catalogue, login_first, wizard  # noqa: E402, F401
