"""Evidence packs: everything about one order or one SKU in one file, for a case with Amazon. Nobody's data is in it."""

from flexdash.services.evidence.of_missing import order_named
from flexdash.services.evidence.of_missing import pack as missing_pack
from flexdash.services.evidence.of_order import pack as order_pack
from flexdash.services.evidence.of_sku import listing_pack, stock_pack
from flexdash.services.evidence.pack import Pack

__all__ = ["Pack", "listing_pack", "missing_pack", "order_named", "order_pack", "stock_pack"]
