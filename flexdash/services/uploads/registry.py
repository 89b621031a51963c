"""The kinds of files there are."""

from flexdash.models import UploadKind
from flexdash.services.uploads.catalog_files import CatalogFile
from flexdash.services.uploads.kinds import Kind
from flexdash.services.uploads.price_files import PriceFile
from flexdash.services.uploads.stock_files import StockFile

KINDS: dict[UploadKind, Kind] = {kind.kind: kind for kind in (CatalogFile(), PriceFile(), StockFile())}
