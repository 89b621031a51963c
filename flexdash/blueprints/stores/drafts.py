"""A draft has no tabs yet: its pages lead back to where it is connected."""

from flask import flash, redirect, url_for
from werkzeug.wrappers import Response

from flexdash.models import Store, StoreStatus


def redirect_draft(store: Store) -> Response | None:
    """Return the way to a draft's own page, with a word why, or None for a store that was connected."""
    if store.status is not StoreStatus.DRAFT:
        return None
    flash("This store is not connected yet. Its settings and hubs come after that.", "info")
    return redirect(url_for("stores.overview", store_id=store.id), 303)
