"""The Configuration Log of the whole workspace, its export, and the verification of its chain."""

from flask import Blueprint

blueprint = Blueprint("audit", __name__)

from flexdash.blueprints.audit import access, detail, reverting, routes, verifying  # noqa: E402, F401  (the views hang themselves on the blueprint)
