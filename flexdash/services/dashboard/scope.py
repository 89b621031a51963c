"""Whose figures are counted: all that a person may see, or one store's."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select

from flexdash.models import Store
from flexdash.services.actors import Actor


@dataclass(frozen=True)
class Scope:
    """`store_id` is None for everything of the workspace, or of those sellers of it that the person may see."""

    workspace_id: int
    store_id: int | None = None
    seller_ids: frozenset[int] | None = None

    @classmethod
    def of_actor(cls, actor: Actor) -> "Scope":
        """Return all that `actor` may see."""
        return cls(actor.workspace_id, seller_ids=actor.seller_ids)

    @classmethod
    def of_store(cls, store: Store) -> "Scope":
        """Return one store, which the caller has seen that the person may see."""
        return cls(store.workspace_id, store.id)

    def of(self, model: Any) -> list[ColumnElement[bool]]:
        """Return the conditions that keep the rows of `model` (with a workspace and a store) within the scope."""
        if self.store_id is not None:
            return [model.store_id == self.store_id]
        own = [model.workspace_id == self.workspace_id]
        if self.seller_ids is not None:
            stores = select(Store.id).where(
                Store.workspace_id == self.workspace_id, Store.seller_id.in_(self.seller_ids)
            )
            own.append(model.store_id.in_(stores))
        return own
