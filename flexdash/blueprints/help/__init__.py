"""Help: the four questions of merchants, each answered by looking, and the answers that hold for everybody."""

from flask import Blueprint

blueprint = Blueprint("help", __name__, url_prefix="/help")

from flexdash.blueprints.help import routes  # noqa: E402, F401 - it hangs on the blueprint
