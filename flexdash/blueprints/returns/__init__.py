"""Returns: the list, and one return. Amazon's interface only reads them, and so do these pages."""

from flask import Blueprint

blueprint = Blueprint("returns", __name__, url_prefix="/returns")

from flexdash.blueprints.returns import routes  # noqa: E402, F401 - the routes hang on the blueprint
