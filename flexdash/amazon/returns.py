"""External Fulfillment returns, version 2024-09-11: what buyers send back. The API only reads.

https://developer-docs.amazon.com/sp-api/docs/external-fulfillment-returns. What is sent is checked first
(InvalidArgument, nothing leaves); besides, every method raises the errors of `Transport.call`.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flexdash.amazon import strict
from flexdash.amazon.errors import UnreadableAnswer
from flexdash.amazon.operations import GET_RETURN, LIST_RETURNS, RETURNS_PATH
from flexdash.amazon.return_statuses import RETURN_STATUSES
from flexdash.amazon.transport import Answer, Transport

MAX_RESULTS = 100
_MAX_TOKEN = 8192
_SAME_TOKEN_LIMIT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnFilter:
    """Which returns to list; None means all. Times are aware and mean after (`…_since`) and before (`…_until`).

    Amazon takes the times of the last update only together with a location and a status. `status` is one of
    RETURN_STATUSES.
    """

    location_id: str | None = None
    status: str | None = None
    rma_id: str | None = None
    reverse_tracking_id: str | None = None
    created_since: datetime | None = None
    created_until: datetime | None = None
    updated_since: datetime | None = None
    updated_until: datetime | None = None

    def query(self) -> list[tuple[str, str]]:
        """Return the filter as Amazon's query parameters; raise InvalidArgument for what Amazon does not take."""
        query = []
        if self.location_id is not None:
            query.append(("returnLocationId", strict.text("location_id", self.location_id)))
        if self.rma_id is not None:
            query.append(("rmaId", strict.text("rma_id", self.rma_id)))
        if self.status is not None:
            query.append(("status", strict.choice("status", self.status, RETURN_STATUSES)))
        if self.reverse_tracking_id is not None:
            query.append(("reverseTrackingId", strict.text("reverse_tracking_id", self.reverse_tracking_id)))
        query += _window("created", self.created_since, self.created_until, "createdSince", "createdUntil")
        updated = _window("updated", self.updated_since, self.updated_until, "lastUpdatedSince", "lastUpdatedUntil")
        if updated and (self.location_id is None or self.status is None):
            raise strict.refuse("updated_since", "and updated_until need a location_id and a status beside them")
        return query + updated


@dataclass(frozen=True, slots=True)
class ReturnPage:
    """One page: the returns as Amazon sent them (`read_return` reads one), the token of the next page or None at the
    end, and Amazon's clock when it answered. What Amazon sent holds one-time passwords: never log or keep it."""

    returns: list[Any] = field(repr=False)
    next_token: str | None
    amazon_date: datetime | None


class Returns:
    """The returns of one selling partner."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def page(self, wanted: ReturnFilter, max_results: int = MAX_RESULTS, token: str | None = None) -> ReturnPage:
        """Return one page of the `wanted` returns. A page may be empty and still have a next one.

        `token` comes from the page before, which must have been asked for with the same arguments.
        """
        query = wanted.query()
        query.append(("maxResults", str(strict.whole("max_results", max_results, 1, MAX_RESULTS))))
        if token is not None:
            query.append(("nextToken", strict.text("token", token, _MAX_TOKEN)))
        return _read_page(self._transport.call(LIST_RETURNS, RETURNS_PATH, query))

    def pages(
        self, wanted: ReturnFilter, max_results: int = MAX_RESULTS, token: str | None = None
    ) -> Iterator[ReturnPage]:
        """Yield pages until Amazon gives no further token; an empty page does not end it.

        Every page is asked for with the same arguments. `token` starts in the middle. Raises UnreadableAnswer when
        Amazon hands out the same token for the third time, which would go on for ever.
        """
        seen: Counter[str] = Counter([token] if token is not None else [])
        while True:
            page = self.page(wanted, max_results, token)
            token = page.next_token
            yield page
            if token is None:
                return
            seen[token] += 1
            if seen[token] >= _SAME_TOKEN_LIMIT:
                raise UnreadableAnswer(
                    "Amazon keeps sending the same page token, so the list has no end", operation=LIST_RETURNS.name
                )

    def get(self, return_id: str) -> dict[str, Any]:
        """Return one return as Amazon sent it, its one-time password included: never log or keep it whole."""
        return self._transport.call(GET_RETURN, (*RETURNS_PATH, strict.segment("return_id", return_id))).data


def _window(
    name: str, since: datetime | None, until: datetime | None, since_key: str, until_key: str
) -> list[tuple[str, str]]:
    query = []
    if since is not None:
        query.append((since_key, strict.moment(f"{name}_since", since)))
    if until is not None:
        query.append((until_key, strict.moment(f"{name}_until", until, rounds_up=True)))
    if since is not None and until is not None and since >= until:
        raise strict.refuse(f"{name}_since", f"must be before {name}_until")
    return query


def _read_page(answer: Answer) -> ReturnPage:
    returns, token = answer.data.get("returns"), answer.data.get("nextToken")
    if returns is None:
        returns = []
    if not isinstance(returns, list) or not isinstance(token, str | None):
        # Guessing here would end a list early, and returns would be missed without a word.
        raise UnreadableAnswer(
            "Amazon's page of returns is not in its own form", operation=LIST_RETURNS.name, request_id=answer.request_id
        )
    return ReturnPage(returns, token or None, answer.date)
