"""What a person pasted to ask about an order, and the orders here that it names."""

import re
from dataclasses import dataclass

from sqlalchemy import ColumnElement
from sqlalchemy.orm import joinedload, selectinload

from flexdash.extensions import db
from flexdash.models import Order
from flexdash.services import access
from flexdash.services.actors import Actor
from flexdash.services.amazon_ids import is_order_id, order_id_meant, read_ids
from flexdash.services.diagnosis.checks import Fix, FixKind
from flexdash.services.errors import FieldRefused
from flexdash.services.order_numbers import id_of
from flexdash.services.words import quoted, shortened

MAX_LENGTH = 200  # of what is pasted: an id with all that stands around it in a mail
SHOWN_AT_MOST = 20  # orders that one id names: the shipments of one Amazon order
# What is asked at Amazon is kept with the call, so what may name a buyer and is no id is not asked for. To Amazon its
# shipment ids are text and no more. Those known are nine letters and digits by chance, some without a digit: a word is
# told by how it is written, which chance hardly ever comes to, or by being shorter.
_WORD = re.compile(r"[A-Za-z]?[a-z]+([_-][A-Za-z]?[a-z]+)*|[A-Za-z]{1,8}")
_TELEPHONE = re.compile(r"[0-9]{10}|(0|(00)?91)[6-9][0-9]{9}")


@dataclass(frozen=True)
class Pasted:
    """One id. Either `amazon_id` or `own_id` is given, or `problem` says why it can be neither.

    With a problem, `meant` is the id that was meant in all likelihood, "" where that is not known.
    """

    shown: str
    amazon_id: str = ""
    own_id: int | None = None  # of FlexDash's own number
    problem: str = ""
    meant: str = ""

    @property
    def is_order_id(self) -> bool:
        """Whether it is the id of an Amazon order, which may be several shipments."""
        return is_order_id(self.amazon_id)

    @property
    def ask_meant(self) -> list[Fix]:
        """The way to ask about the id that was meant; none where that is not known."""
        return [Fix(FixKind.ASK_INSTEAD, {"q": self.meant}, self.meant)] if self.meant else []


def read(text: str) -> Pasted:
    """Return the one id in a pasted `text`; raise FieldRefused for `q` when there is none, or several."""
    found = read_ids(text[:MAX_LENGTH])
    n_found = len(found.ids) + len(found.unreadable)
    if n_found == 0:
        raise FieldRefused("q", "Paste an Amazon order or shipment id, or FlexDash's own number of the order.")
    if n_found > 1:
        raise FieldRefused("q", "This is more than one id. Paste one; many at once are looked up with Recover orders.")
    if found.ids:
        word = found.ids[0]
        if looks := _looks_like(word):
            return Pasted(
                shortened(word, 60),
                problem=f"{quoted(word)} looks like {looks}, not like an id of Amazon's, so Amazon was not asked.",
            )
        return Pasted(word, amazon_id=word)
    [(word, reason)] = found.unreadable
    if (own_id := id_of(word)) is not None:
        return Pasted(word.upper(), own_id=own_id)
    if meant := order_id_meant(word):
        return Pasted(word, problem=f"Order ids have digits only: did you mean {meant}?", meant=meant)
    return Pasted(shortened(word, 60), problem=f"{quoted(word)} {reason}.")


def _looks_like(word: str) -> str:
    """Return what an id looks like that is hardly one of Amazon's; "" for one that can be."""
    if _TELEPHONE.fullmatch(word):
        return "a telephone number"
    return "a word or a name" if _WORD.fullmatch(word) else ""


def orders_here(actor: Actor, pasted: Pasted) -> list[Order]:
    """Return the orders that `actor` may see and the id names, the newest first.

    An id that names none as it was typed is looked for in capitals: most of Amazon's are, and an index finds those.
    """
    if pasted.own_id is not None:
        return _where(actor, Order.id == pasted.own_id)
    for written in dict.fromkeys((pasted.amazon_id, pasted.amazon_id.upper())):
        column = Order.amazon_order_id if is_order_id(written) else Order.amazon_shipment_id
        if written and (found := _where(actor, column == written)):
            return found
    return []


def _where(actor: Actor, condition: ColumnElement[bool]) -> list[Order]:
    query = access.visible(actor, Order).options(
        joinedload(Order.store), joinedload(Order.hub), selectinload(Order.holds)
    )
    query = query.where(condition).order_by(Order.id.desc()).limit(SHOWN_AT_MOST)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))
