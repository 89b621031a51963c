"""The home page."""

from flask import Blueprint, render_template, request

from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import keyset_page
from flexdash.models import Store
from flexdash.services import access
from flexdash.services.actors import Permission

blueprint = Blueprint("home", __name__)


@blueprint.get("/")
@requires(Permission.VIEW)
def index() -> str:
    """Show each store the person may see: its state, its syncs, and what needs a person."""
    page = keyset_page(access.visible(current_actor(), Store), [(Store.id, "asc")], request.args)
    return render_template("home/index.html", page=page)
