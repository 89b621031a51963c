"""Workspaces: making one with everything it needs from the first moment."""

from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import ConfigChainHead, Workspace


def create(name: str, time_zone: str = "UTC") -> Workspace:
    """Make a workspace with its empty Configuration Log chain and return it."""
    with transaction():
        return add(name, time_zone)


def add(name: str, time_zone: str = "UTC") -> Workspace:
    """Do the same inside the caller's transaction."""
    workspace = Workspace(name=name, time_zone=time_zone)
    db.session.add(workspace)
    db.session.flush()
    db.session.add(ConfigChainHead(workspace_id=workspace.id))
    db.session.flush()
    return workspace
