"""The one state machine of an order: what may happen in which state, and what it leads to.

Pages, jobs and bulk actions ask `outcome`; nobody else decides. Amazon's news moves an order forward only; news that
comes too late to be followed is a conflict, which a person sees and closes. docs/order-states.md draws it.
"""

from dataclasses import dataclass
from enum import StrEnum

from flexdash.models import OrderState as S


class Event(StrEnum):
    """What can happen to an order, by whom."""

    # A person, or FlexDash on a person's behalf.
    HOLD = "hold"  # something stands in the way of working it
    RELEASE = "release"  # nothing does any more
    PICK = "pick"
    PACK = "pack"
    MAKE_READY = "make ready"
    SHIP = "ship"
    DELIVER = "deliver"
    CANCEL = "cancel"
    # Amazon's news.
    AMAZON_PICKED = "picked on Amazon"
    AMAZON_PACKED = "packed on Amazon"
    AMAZON_SHIPPED = "shipped on Amazon"
    AMAZON_DELIVERED = "delivered on Amazon"
    AMAZON_CANCELLED = "cancelled on Amazon"

    @property
    def is_amazons(self) -> bool:
        """Whether it is Amazon's news: it has happened there, whatever is the case here."""
        return self.name.startswith("AMAZON_")


class Kind(StrEnum):
    MOVE = "move"  # the order goes to `to`
    NOTHING = "nothing"  # it is there already, or further
    REFUSE = "refuse"  # a person asked for what cannot be; `sentence` says why
    CONFLICT = "conflict"  # Amazon says what does not fit any more; a person decides


@dataclass(frozen=True)
class Outcome:
    """What an event does to an order in a state. `to` is the state afterwards."""

    kind: Kind
    to: S
    sentence: str = ""


# The way of an order that is worked. Amazon's news moves it along here, any number of steps, never back.
WAY = (S.ON_HOLD, S.NEW, S.PICKED, S.PACKED, S.READY_TO_SHIP, S.SHIPPED, S.DELIVERED)
OPEN = frozenset(WAY[:5])
HAS_LEFT = frozenset({S.SHIPPED, S.DELIVERED})

# Why nothing else is done with an order whose cancellation is on its way to Amazon.
BEING_CANCELLED = (
    "This order is being cancelled at Amazon, whose answer is not here yet. Leave it until then: if Amazon refuses, it "
    "goes on from where it is."
)

# What people do: each step has one state before it.
STEPS: dict[Event, tuple[S, S]] = {
    Event.RELEASE: (S.ON_HOLD, S.NEW),
    Event.PICK: (S.NEW, S.PICKED),
    Event.PACK: (S.PICKED, S.PACKED),
    Event.MAKE_READY: (S.PACKED, S.READY_TO_SHIP),
    Event.SHIP: (S.READY_TO_SHIP, S.SHIPPED),
    Event.DELIVER: (S.SHIPPED, S.DELIVERED),
}
AMAZONS: dict[Event, S] = {
    Event.AMAZON_PICKED: S.PICKED,
    Event.AMAZON_PACKED: S.PACKED,
    Event.AMAZON_SHIPPED: S.SHIPPED,
    Event.AMAZON_DELIVERED: S.DELIVERED,
}
_DOING = {
    Event.RELEASE: "released",
    Event.PICK: "picked",
    Event.PACK: "packed",
    Event.MAKE_READY: "made ready to ship",
    Event.SHIP: "shipped",
    Event.DELIVER: "delivered",
}


def outcome(state: S, event: Event) -> Outcome:
    """Return what `event` does to an order in `state`; every pair has an answer."""
    if event is Event.AMAZON_CANCELLED:
        return _amazon_cancels(state)
    if event in AMAZONS:
        return _amazon_moves(state, AMAZONS[event])
    if event is Event.CANCEL:
        return _person_cancels(state)
    if event is Event.HOLD:
        return _hold(state)
    before, after = STEPS[event]
    if state is before:
        return Outcome(Kind.MOVE, after)
    if state is after:
        return Outcome(Kind.NOTHING, state, f"This order is {state} already.")
    return Outcome(Kind.REFUSE, state, _why_not(state, event, before))


def allowed(state: S) -> tuple[Event, ...]:
    """Return what a person can do with an order in `state`, in the order of the way."""
    people = (*STEPS, Event.CANCEL)
    return tuple(event for event in people if outcome(state, event).kind is Kind.MOVE)


def _amazon_cancels(state: S) -> Outcome:
    if state is S.CANCELLED:
        return Outcome(Kind.NOTHING, state)
    if state in HAS_LEFT:
        return Outcome(Kind.CONFLICT, state, f"Amazon cancelled it, but here it is {state.after_is} already.")
    return Outcome(Kind.MOVE, S.CANCELLED)


def _amazon_moves(state: S, to: S) -> Outcome:
    if state is S.CANCELLED:
        return Outcome(Kind.CONFLICT, state, f"It is Cancelled here, but Amazon moved it on to {to}.")
    if WAY.index(to) <= WAY.index(state):
        return Outcome(Kind.NOTHING, state)
    return Outcome(Kind.MOVE, to)


def _person_cancels(state: S) -> Outcome:
    if state is S.CANCELLED:
        return Outcome(Kind.NOTHING, state, "This order is Cancelled already.")
    if state in HAS_LEFT:
        sentence = f"This order is {state}: it has left the hub, so it cannot be cancelled any more, only returned."
        return Outcome(Kind.REFUSE, state, sentence)
    return Outcome(Kind.MOVE, S.CANCELLED)


def _hold(state: S) -> Outcome:
    if state is S.NEW:
        return Outcome(Kind.MOVE, S.ON_HOLD)
    if state is S.ON_HOLD:
        return Outcome(Kind.NOTHING, state)
    return Outcome(Kind.REFUSE, state, f"This order is {state}: only a New Order can be put On Hold.")


def _why_not(state: S, event: Event, before: S) -> str:
    done = _DOING[event]
    if state is S.CANCELLED:
        return f"This order is Cancelled, so it cannot be {done}. Put the goods back."
    if state is S.ON_HOLD:
        return f"This order is On Hold, so it cannot be {done}. See on its page what it waits for."
    if WAY.index(state) > WAY.index(before):
        return f"This order is {state} already, so it cannot be {done} again."
    return f"This order is {state}. It must be {before} before it can be {done}."
