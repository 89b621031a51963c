"""Where a selling partner sells. https://developer-docs.amazon.com/sp-api/docs/sellers-api"""

from dataclasses import dataclass
from typing import Any

from flexdash.amazon import lenient
from flexdash.amazon.errors import UnreadableAnswer
from flexdash.amazon.operations import GET_PARTICIPATIONS, PARTICIPATIONS_PATH
from flexdash.amazon.transport import Transport


@dataclass(frozen=True, slots=True)
class Participation:
    """One marketplace of the seller. `name` is the marketplace's, `store_name` the seller's there."""

    marketplace_id: str
    country_code: str
    currency: str
    is_participating: bool
    has_suspended_listings: bool
    name: str
    store_name: str = ""


class Sellers:
    """What Amazon says of the selling partner itself."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def marketplace_participations(self) -> list[Participation]:
        """Return the seller's marketplaces. Amazon allows this about once a minute after the first 15 calls.

        Raises the errors of `Transport.call`.
        """
        payload = self._transport.call(GET_PARTICIPATIONS, PARTICIPATIONS_PATH).data.get("payload")
        if not isinstance(payload, list):
            raise UnreadableAnswer("Amazon's answer holds no list of marketplaces", operation=GET_PARTICIPATIONS.name)
        return [found for raw in payload if (found := _read(raw))]


def _read(raw: Any) -> Participation | None:
    raw = lenient.members(raw)
    marketplace, participation = lenient.members(raw.get("marketplace")), lenient.members(raw.get("participation"))
    marketplace_id = lenient.text(marketplace.get("id"))
    if not marketplace_id:
        return None
    return Participation(
        marketplace_id=marketplace_id,
        country_code=lenient.text(marketplace.get("countryCode"), 2).upper(),
        currency=lenient.text(marketplace.get("defaultCurrencyCode"), 3).upper(),
        is_participating=participation.get("isParticipating") is True,
        has_suspended_listings=participation.get("hasSuspendedListings") is True,
        name=lenient.text(marketplace.get("name")),
        store_name=lenient.text(raw.get("storeName")),
    )
