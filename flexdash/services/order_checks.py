"""What stands in an order's way besides its hub: SKUs that the store does not list, and stock that is not there."""

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import select

from flexdash.database import one_of
from flexdash.extensions import db
from flexdash.models import HoldReason, Listing, Sku
from flexdash.services.routing import Hold
from flexdash.services.words import listed, shortened

MAX_DETAIL = 300  # as long as the column
_SHOWN = 3  # SKUs named in a sentence before the rest is only counted


class Catalogs:
    """Which SKUs some stores of one seller list, and which the seller has at all; read once, asked for many orders."""

    def __init__(self, listed_in: set[tuple[int, str]], known: set[str]) -> None:
        self._listed_in, self._known = listed_in, known

    @classmethod
    def read(cls, seller_id: int, store_ids: Collection[int], sku_codes: Collection[str]) -> "Catalogs":
        """Read what there is about `sku_codes` now."""
        if not sku_codes:
            return cls(set(), set())
        query = select(Listing.store_id, Listing.sku_code).where(
            one_of(Listing.store_id, store_ids), one_of(Listing.sku_code, sku_codes)
        )
        listed_in = {(store_id, sku_code) for store_id, sku_code in db.session.execute(query)}
        known: set[str] = set()
        if len(listed_in) < len(store_ids) * len(sku_codes):
            query = select(Sku.sku_code).where(Sku.seller_id == seller_id, one_of(Sku.sku_code, sku_codes))
            known = set(db.session.scalars(query))
        return cls(listed_in, known)

    def holds(self, store_id: int, sku_codes: Iterable[str]) -> list[Hold]:
        """Return the reasons that an order of the store with these SKUs cannot be worked; one of each kind."""
        missing = [code for code in sku_codes if (store_id, code) not in self._listed_in]
        found = []
        if unknown := [code for code in missing if code not in self._known]:
            words = f"{_named(unknown)} {_is(unknown)} unknown: neither this store's catalog nor the seller's SKUs have"
            words += f" {'it' if len(unknown) == 1 else 'them'}. Upload the catalog of this store."
            found.append(Hold(HoldReason.SKU_UNKNOWN, shortened(words, MAX_DETAIL)))
        if without_asin := [code for code in missing if code in self._known]:
            words = (
                f"{_named(without_asin)} {_has(without_asin)} no ASIN in this store. Upload the catalog of this store."
            )
            found.append(Hold(HoldReason.NO_ASIN, shortened(words, MAX_DETAIL)))
        return found


def not_enough(hub_name: str, short: Mapping[str, tuple[int, int]]) -> Hold:
    """Return the reason for SKUs that the hub has not enough of: (wanted, available) by SKU code."""
    hub = shortened(hub_name, 60)
    parts = [
        f"{shortened(code, 40)} ({wanted:,} wanted, {f'{available:,}' if available else 'none'} available)"
        for code, (wanted, available) in short.items()
    ]
    what = shortened(next(iter(short)), 40) if len(short) == 1 else "these SKUs"
    beginning, end = f"Not enough stock at {hub}: ", f". Add stock of {what} at {hub}."
    n_shown = min(_SHOWN, len(parts))
    while n_shown > 1 and len(beginning + _summed(parts, n_shown) + end) > MAX_DETAIL:
        n_shown -= 1
    return Hold(HoldReason.NOT_ENOUGH_STOCK, shortened(beginning + _summed(parts, n_shown) + end, MAX_DETAIL))


def _named(codes: list[str]) -> str:
    return _summed([shortened(code, 40) for code in codes], min(_SHOWN, len(codes)))


def _summed(parts: list[str], n_shown: int) -> str:
    rest = len(parts) - n_shown
    more = [f"{rest:,} more {'SKU' if rest == 1 else 'SKUs'}"] if rest else []
    return listed([*parts[:n_shown], *more])


def _is(codes: list[str]) -> str:
    return "is" if len(codes) == 1 else "are"


def _has(codes: list[str]) -> str:
    return "has" if len(codes) == 1 else "have"
