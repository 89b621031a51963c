"""Shipments and returns that Amazon is asked for one by one, by their ids: what it says of one costs no other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import structlog

from flexdash.amazon.errors import AccessDenied, AmazonError, InvalidArgument, NotFound, RequestRefused, StateConflict
from flexdash.models import ItemFate
from flexdash.services import run_sheets
from flexdash.services.run_context import RunContext
from flexdash.services.words import as_sentence

# What Amazon says of one id only: whom it lets in at all, the lists show, which a run reads before.
REFUSALS = (RequestRefused, StateConflict, AccessDenied)
SILENT_IN_A_ROW = 3  # ids without an answer, from which on Amazon itself may be away

Item = TypeVar("Item")

log = structlog.get_logger(__name__)


@dataclass
class Lookups:
    """What came of asking: `found` as Amazon sent it, the ids that Amazon does not know, and those it did not tell of,
    each with why."""

    found: list[Any] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    untold: list[run_sheets.Item] = field(default_factory=list)

    def sheet(self, words_of_gone: str) -> list[run_sheets.Item]:
        """Return what the run keeps of those that brought nothing."""
        return [*(run_sheets.Item(ItemFate.REFUSED, one, words=words_of_gone) for one in self.gone), *self.untold]


class Silence(Generic[Item]):
    """Tells ids that get no answer by themselves from an Amazon that is away: it tells of others then.

    `ask_for_known` asks for something that Amazon must know; without it, some silent ids in a row are taken for an
    Amazon that is away. What is given for each silent id is held back until that is known, and handed back then.
    """

    def __init__(self, ask_for_known: Callable[[], object] | None) -> None:
        self._ask_for_known = ask_for_known
        self._held: list[tuple[Item, AmazonError]] = []
        self._was_broken = False
        self.n_silent = 0

    def met(self, item: Item, error: AmazonError) -> list[Item]:
        """Note that an id got none but `error`, and return those that are silent by themselves. Raises AmazonError
        when Amazon is away."""
        self._held.append((item, error))
        self.n_silent += 1
        return self._let_go() if len(self._held) >= SILENT_IN_A_ROW else []

    def broken(self) -> list[Item]:
        """Note that an id got its answer, and return those before it that got none."""
        self._was_broken = True
        items = [item for item, _ in self._held]
        self._held = []
        return items

    def end(self) -> list[Item]:
        """Return the silent ids that are left, few after an answer or none at all. Raises AmazonError as `met` does."""
        return self.broken() if self._was_broken or not self._held else self._let_go()

    def _let_go(self) -> list[Item]:
        if self._ask_for_known is None:
            raise self._held[-1][1]
        try:
            self._ask_for_known()
        except (NotFound, *REFUSALS):
            log.info("single_lookups_go_on", n_silent=self.n_silent)  # an answer too
        return self.broken()


def look_up(run: RunContext, get: Callable[[str], Any], amazon_ids: Sequence[str]) -> Lookups:
    """Ask Amazon for each id with `get`, outside any transaction; one refused or without an answer is left aside.

    Raises AmazonError when Amazon lets nobody in, and RunInterrupted.
    """
    lookups = Lookups()
    for amazon_id in amazon_ids:
        run.stop_here()
        try:
            lookups.found.append(get(amazon_id))
        except NotFound:
            lookups.gone.append(amazon_id)
        except AmazonError as error:
            is_refused = isinstance(error, REFUSALS)
            if not (is_refused or error.is_retryable):
                raise
            log.warning("single_lookup_brought_nothing", amazon_id=amazon_id, error=error.code)
            fate, words = (ItemFate.REFUSED, why_refused(error)) if is_refused else (ItemFate.NO_ANSWER, error.message)
            lookups.untold.append(run_sheets.Item(fate, amazon_id, words=words, request_id=error.request_id))
    return lookups


def why_refused(error: AmazonError) -> str:
    """Return why Amazon was not asked for an id, or told nothing of it, in our own words."""
    if isinstance(error, InvalidArgument):
        return as_sentence(error.message[:1].upper() + error.message[1:])
    # Not in Amazon's words: they may name the buyer, whom FlexDash does not know before it has the order.
    return f"Amazon refused to look it up (HTTP {error.status}{', ' if error.code else ''}{error.code})."
