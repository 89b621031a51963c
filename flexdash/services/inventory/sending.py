"""A push under way: calls are always in flight, and meanwhile the next lines are numbered and answers are written."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import groupby

from sqlalchemy import select

from flexdash.amazon.client import AmazonClient
from flexdash.amazon.errors import AmazonError
from flexdash.amazon.inventory import InventoryResult
from flexdash.database import transaction
from flexdash.extensions import db, settings
from flexdash.models import ItemFate, ItemOutcome, Store, StoreStatus, SyncRunItem
from flexdash.services import run_sheets
from flexdash.services.amazon_access import CallLog
from flexdash.services.inventory import answers, brake, outbox
from flexdash.services.inventory.calls import ABOUT_THE_REQUEST, Answer, Answered, Batch, Caller, batches
from flexdash.services.inventory.flight import Flight
from flexdash.services.inventory.outbox import Line
from flexdash.services.inventory.places import Location, active_locations
from flexdash.services.inventory.plan import Plan
from flexdash.services.inventory.remedies import is_about_sequence
from flexdash.services.run_context import RunContext, RunSkipped

IN_FLIGHT = 20  # enough for the 50 requests a second that Amazon allows while each takes up to 400 ms
PORTION = 500  # lines that are numbered in one transaction, and answers written in one
IN_LINE = 32  # batches that wait for a thread: its work while the database is written
MAX_TRIES = 3  # of a line that gets no answer, within one run
HOPELESS = 2 * IN_FLIGHT  # batches without an answer in a row: Amazon is away

Portion = Sequence[tuple[Location, Sequence[int]]]  # ids of listings by location


class Sending:
    """One push under way. Made for one call of `send`."""

    def __init__(self, run: RunContext, plan: Plan, zeros: brake.Zeros, calls: CallLog, client: AmazonClient) -> None:
        self._run, self._plan, self._zeros, self._calls = run, plan, zeros, calls
        self._is_numbered = settings.amazon_inventory_sequence != "omit"
        caller = Caller(client.inventory, plan.store.marketplace_id, is_numbered=self._is_numbered)
        self._flight: Flight[Batch, Answered] = Flight(IN_FLIGHT, caller)
        self._accepted: list[tuple[Line, InventoryResult]] = []
        self._refused: list[tuple[Line, Answer]] = []
        self._seen: deque[tuple[Line, int | None]] = deque()  # refused for their numbers, and Amazon's own
        self._again: deque[Line] = deque()  # got no answer, and are to go out once more
        self._silent: list[tuple[Line, AmazonError]] = []  # got none however often they went out
        self._tries: Counter[int] = Counter()
        self._n_silent = 0  # batches without an answer since the last one with
        self._n_answered = 0
        self._n_left_out = 0
        self._n_closed: Counter[Location] = Counter()  # lines that were not sent, their location being gone meanwhile
        self._must_stop = False
        self._error: Exception | None = None  # why it has to end early

    def send(self) -> None:
        """Send the whole plan.

        Raises AmazonError, RunSkipped and RunInterrupted; what was answered until then is written first.
        """
        portions = self._portions()
        with self._flight as flight:
            while True:
                self._fill(portions)
                if not flight.n_open:
                    break
                self._sort(flight.take())
                if len(self._accepted) + len(self._refused) >= PORTION:
                    self._write()
            self._give_up_silent()
            self._write()
        if self._error is not None:
            raise self._error
        self._run.stop_here()
        self._note_left_out()

    # What goes out ----------------------------------------------------------------------------------------------------

    def _fill(self, portions: Iterator[list[Line] | None]) -> None:
        """Keep work in line for the threads, unless the push has to end."""
        self._must_stop = self._must_stop or self._run.should_stop()
        if self._must_stop:
            self._flight.drop_waiting()
            return
        while self._flight.n_open < IN_FLIGHT + IN_LINE:
            try:
                lines = next(portions)
            except RunSkipped as reason:
                self._end(reason)
                return
            if lines is None:
                return
            for batch in batches(lines):
                self._flight.submit(batch)

    def _portions(self) -> Iterator[list[Line] | None]:
        """Yield numbered and committed lines: the plan's, between them those to be numbered anew, then those again.

        Yields None, again and again, when there is nothing to send at the moment.
        """
        n_zeros = self._plan.n_zeros
        for portion in self._plan.portions(PORTION):
            while self._seen:
                yield self._number_again()
            n_planned = min(n_zeros, PORTION)
            n_zeros -= n_planned
            yield self._number(portion, n_planned)
        while True:
            if self._seen:
                yield self._number_again()
            elif self._again and not self._flight.n_open:  # late, so that what was wrong may have passed
                lines = [self._again.popleft() for _ in range(min(PORTION, len(self._again)))]
                yield self._number(_by_location(lines), sum(line.quantity == 0 for line in lines))
            else:
                yield None

    def _number(self, portion: Portion, n_planned_zeros: int) -> list[Line]:
        if not self._zeros.are_used_up:
            try:
                return self._commit(portion, n_planned_zeros, is_zero_left_out=False)
            except brake.TooManyZeros:
                pass  # rolled back: once more, without what went to zero since the plan was made
        return self._commit(portion, n_planned_zeros, is_zero_left_out=True)

    def _commit(self, portion: Portion, n_planned_zeros: int, *, is_zero_left_out: bool) -> list[Line]:
        lines: list[Line] = []
        with transaction():
            _check_still_on(self._run.store_id)
            outbox.lock(self._run.store_id)
            active = {location.key for location in active_locations(self._run.store_id)}
            closed = Counter({location: len(ids) for location, ids in portion if location.key not in active})
            portion = [(location, ids) for location, ids in portion if location.key in active]
            n_open = sum(len(ids) for _, ids in portion)
            for location, listing_ids in portion:
                lines += outbox.number_lines(self._plan.store, location, listing_ids, is_zero_left_out=is_zero_left_out)
            lines.sort(key=lambda line: line.quantity)
            if not is_zero_left_out:
                n_zeros = sum(line.quantity == 0 for line in lines)
                self._zeros.take(n_zeros - min(n_planned_zeros, n_open))
            self._run.check_in(progress=self._progress())
        self._n_closed += closed
        if is_zero_left_out:
            self._n_left_out += n_open - len(lines)
        return lines

    def _number_again(self) -> list[Line]:
        seen = [self._seen.popleft() for _ in range(min(PORTION, len(self._seen)))]
        with transaction():
            _check_still_on(self._run.store_id)
            outbox.lock(self._run.store_id)
            active = {location.key for location in active_locations(self._run.store_id)}
            closed = Counter(line.location for line, _ in seen if line.location.key not in active)
            lines = outbox.number_again([(line, number) for line, number in seen if line.location.key in active])
            self._run.check_in()
        self._n_closed += closed
        return lines

    def _progress(self) -> str:
        what = "everything" if self._plan.is_full else "what changed"
        return f"Sending {what}: {self._n_answered:,} of {self._plan.n_due:,} quantities are answered."

    # What comes back --------------------------------------------------------------------------------------------------

    def _sort(self, answered: Answered) -> None:
        """Put each answer where it belongs; nothing is written yet."""
        to_ask, n_silent = [], 0
        for line, answer in zip(answered.batch.lines, answered.answers, strict=True):
            if isinstance(answer, AmazonError) and not isinstance(answer, ABOUT_THE_REQUEST):
                n_silent += 1
                self._has_no_answer(line, answer)
            elif answered.batch.is_fetch:
                number = answer.sequence_number if isinstance(answer, InventoryResult) else None
                self._seen.append((line, number))
            elif isinstance(answer, InventoryResult) and answer.is_accepted:
                self._accepted.append((line, answer))
            elif self._is_numbered and not line.has_adopted and _is_about_number(answer):
                to_ask.append(line)
            else:
                self._refused.append((line, answer))
        self._n_answered += len(answered.answers) - n_silent - len(to_ask)
        self._n_silent = self._n_silent + 1 if n_silent else 0
        if self._n_silent >= HOPELESS:
            self._end(next(answer for answer in answered.answers if isinstance(answer, AmazonError)))
        if to_ask and not self._must_stop:
            self._flight.submit(Batch(to_ask, is_fetch=True))

    def _has_no_answer(self, line: Line, error: AmazonError) -> None:
        """Send the line again later in this run, a few times."""
        self._tries[line.published_id] += 1
        if not error.is_retryable:
            self._end(error)  # Amazon does not let us in: asking on would change nothing
        elif self._tries[line.published_id] < MAX_TRIES:
            self._again.append(line)
        else:
            self._silent.append((line, error))

    def _give_up_silent(self) -> None:
        """Count what got no answer as failed; the next run sends it. Where nothing got one, Amazon is away.

        Not when this attempt ends early: the next one sends them.
        """
        if self._must_stop:
            return
        if self._silent and self._n_answered:
            self._refused += self._silent
        elif self._silent:
            self._end(self._silent[0][1])

    def _end(self, error: Exception) -> None:
        """Send nothing more; `error` is raised once what is under way is written."""
        self._error = self._error or error
        self._must_stop = True

    def _write(self) -> None:
        """Commit the answers so far, with the calls that brought them and the run's counts."""
        if not self._accepted and not self._refused:
            return
        with transaction():
            outbox.lock(self._run.store_id)
            answers.write_accepted(self._accepted)
            answers.write_refused(self._run.run_id, self._refused)
            items = [
                answers.item_of(line, answer, fate)
                for fate, found in ((ItemFate.SENT, self._accepted), (ItemFate.REFUSED, self._refused))
                for line, answer in found
            ]
            run_sheets.keep(self._run.run_id, items, self._run.store_id)
            self._calls.write()
            self._run.check_in(progress=self._progress(), n_updated=len(self._accepted), n_failed=len(self._refused))
        self._accepted, self._refused = [], []

    def _note_left_out(self) -> None:
        """Keep on the run what it did not send, although that was planned, and why."""
        own = {"run_id": self._run.run_id, "outcome": ItemOutcome.SKIPPED}
        items = [
            SyncRunItem(
                **own,
                seller_flex_hub_id=location.seller_flex_hub_id,
                n_items=n,
                reason=f"{location.hub_name} was taken out of this store's active hubs, or got another Seller Flex Hub "
                "ID, while this run was at work, so the rest was not sent. What Amazon was told until then stands.",
                remedy="Switch it on on the Hub Mapping tab to send its stock, if it sells in this store.",
            )
            for location, n in self._n_closed.items()
        ]
        if self._n_left_out:
            reason = (
                "They went to zero while the push was under way, more than the store lets go without asking, so "
                "Amazon was not told. The next run looks at them again, and asks if it has to."
            )
            items.append(SyncRunItem(**own, n_items=self._n_left_out, reason=reason))
        if items:
            with transaction() as session:
                session.add_all(items)
                self._run.check_in()


def _by_location(lines: Sequence[Line]) -> Portion:
    in_order = sorted(lines, key=lambda line: line.location.mapping_id)
    return [
        (location, [line.listing_id for line in group])
        for location, group in groupby(in_order, key=lambda line: line.location)
    ]


def _is_about_number(answer: Answer) -> bool:
    if isinstance(answer, AmazonError):
        return is_about_sequence(answer.code, answer.status)
    return answer.is_answered and is_about_sequence(answers.words_of(answer).code, answer.status_code)


def _check_still_on(store_id: int) -> None:
    """Raise RunSkipped when the merchant turned Inventory Sync off, or the store was disconnected, meanwhile."""
    name, status, is_on = db.session.execute(
        select(Store.name, Store.status, Store.is_inventory_sync_on).where(Store.id == store_id)
    ).one()
    if status is not StoreStatus.CONNECTED:
        raise RunSkipped(f"{name} was disconnected from Amazon while this run was at work, so the rest was not sent.")
    if not is_on:
        raise RunSkipped(
            f"Inventory Sync was turned off for {name} while this run was at work, so the rest was not sent. What "
            "Amazon was told until then stands."
        )
