"""The whole world of the sandbox, put together from its data folder."""

import secrets
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from amazon_sandbox.world import generator
from amazon_sandbox.world.accounts import Account
from amazon_sandbox.world.authorizations import Authorizations
from amazon_sandbox.world.clock import Clock
from amazon_sandbox.world.database import Database
from amazon_sandbox.world.documents import LabelLinks
from amazon_sandbox.world.faults import Faults
from amazon_sandbox.world.feed_documents import FeedDocuments
from amazon_sandbox.world.feeds import Feeds
from amazon_sandbox.world.inventory import Inventory
from amazon_sandbox.world.journey import Journey
from amazon_sandbox.world.listings import Listings
from amazon_sandbox.world.options import Options
from amazon_sandbox.world.paging import PageTokens
from amazon_sandbox.world.parcels import Parcels
from amazon_sandbox.world.plans import Plan, Plans
from amazon_sandbox.world.returns import Returns
from amazon_sandbox.world.shelf import Record, Shelf
from amazon_sandbox.world.stats import Stats


class World:
    """Everything the sandbox knows. `clock_source` gives seconds since 1970, `app_is_draft` stands at start,
    whatever the switch was before."""

    def __init__(
        self, data_dir: Path | None, clock_source: Callable[[], float] | None = None, *, app_is_draft: bool = False
    ):
        self.clock = Clock(clock_source) if clock_source else Clock()
        self.database = Database(data_dir / "sandbox.db" if data_dir else None)
        self.secret = self._kept_secret()
        self._app_is_draft = app_is_draft
        self.options = Options(**{**self.database.get("options", {}), "app_is_draft": app_is_draft})
        self.authorizations = Authorizations(self.database, self.clock)
        self.shelf = Shelf(self.database, self.clock)
        self.faults = Faults(self.database)
        self.plans = Plans()
        self.set_plans({}, **self.database.get("plans", {}))
        self.stats = Stats()
        self.listings = Listings(self.database, self.clock, self.faults, self.options)
        self.inventory = Inventory(self.database, self.shelf, self.faults, self.options, self.listings)
        self.feed_documents = FeedDocuments(self.database, self.secret, self.clock)
        self.feeds = Feeds(self.database, self.clock, self.faults, self.options, self.listings, self.feed_documents)
        self.journey = Journey(self)
        self.parcels = Parcels(self)
        self.returns = Returns(self)
        self.label_links = LabelLinks(self.secret, self.clock)
        self.page_tokens = PageTokens(self.secret)
        self._apply_options()

    def create_orders(self, request: generator.OrderRequest) -> list[Record]:
        """New shipments, all or none, committed."""
        with self.database.lock:
            records = generator.make(request, self.shelf.next_seq, self.clock.now_ms())
            self.shelf.add(records)
        return records

    def remove_listing(self, account: Account, sku_code: str) -> None:
        """Takes a listing away with its stock. KeyError for a SKU that is not listed."""
        with self.database.transaction():
            self.listings.remove(account, sku_code)
            self.inventory.forget(account, sku_code)

    def set_options(self, changes: dict[str, Any]) -> None:
        """Changes switches and keeps them. ValueError for one unknown or out of range."""
        self.options.change(changes)
        self.database.put("options", asdict(self.options))
        self._apply_options()

    def set_plans(self, plans: dict[str, dict[str, float] | None], **kept: dict[str, float] | None) -> None:
        """Sets usage plans given as `{"rate": …, "burst": …}` or None (unlimited); `*` stands for all operations.
        ValueError for an unknown operation or a rate that is not above nought."""
        named = dict(kept)
        for name, plan in plans.items():
            named.update(dict.fromkeys(self.plans.current, plan) if name == "*" else {name: plan})
        try:
            self.plans.set({name: Plan(**plan) if plan else None for name, plan in named.items()})
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"plans: {error.args[0]}") from error
        if plans:
            self.database.put("plans", self.plans.as_json())

    def reset(self) -> None:
        """Empties the world: all it holds, tokens, faults, plans, options and counts start anew."""
        with self.database.transaction():
            self.database.clear()
            self.faults.reset()
            self.plans.use_defaults()
            self.database.put("plans", {})
            self.options.change(asdict(Options(app_is_draft=self._app_is_draft)))
            self.database.put("options", asdict(self.options))
            self._apply_options()
            self.shelf.load()
            self.returns.load()
            self.authorizations.load()
            self.listings.load()
            self.inventory.load()
            self.stats.clear()

    def close(self) -> None:
        """Closes the database file."""
        self.database.close()

    def _apply_options(self) -> None:
        self.clock.shift_seconds = self.options.clock_shift_seconds
        self.authorizations.access_token_seconds = self.options.access_token_seconds

    def _kept_secret(self) -> bytes:
        kept = self.database.get("secret")
        if kept is None:
            kept = secrets.token_hex(32)
            self.database.put("secret", kept)
        return bytes.fromhex(kept)
