"""The Inventory tab as a browser without JavaScript meets it: its rows, its buttons, and what Amazon was told."""

import html
import re

from werkzeug.test import TestResponse

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import PublishedStock, PushState, Store, SyncRun
from tests.support.web import words


def path(store: Store, rest: str = "") -> str:
    """Return the address of the store's tab, and of what lies below it."""
    return f"/stores/{store.id}/inventory{rest}"


def skus(answer: TestResponse) -> list[str]:
    """Return the SKUs that the page lists."""
    cells = re.findall(r'class="inventory-sku"[^>]*><div class="cell"><a[^>]*>([^<]*)</a>', answer.text)
    return [html.unescape(code) for code in cells]


def action_of(answer: TestResponse, label: str, context: str = "") -> str:
    """Return where the form of the one button with these words is sent to."""
    for form in re.findall(r'<form method="post"(?:(?!</form>).)*</form>', answer.text, re.DOTALL):
        if words(form) == f"{label} {context}".strip():
            return html.unescape(re.search(r'action="([^"]*)"', form).group(1))
    raise AssertionError(f"there is no button {label} {context}")


def tell(
    store: Store, sku_code: str, quantity: int, state: PushState = PushState.ACCEPTED, **values: object
) -> PublishedStock:
    """Make the row of what Amazon was told of a SKU at the mapped hub."""
    now = clock.now()
    facts = {"sent_quantity": quantity, "sequence_number": 5, "sent_at": now}
    if state is PushState.ACCEPTED:
        facts |= {"accepted_at": now, "quantity": quantity}
    own = {"workspace_id": store.workspace_id, "store_id": store.id, "seller_flex_hub_id": "EXSB"}
    row = PublishedStock(sku_code=sku_code, state=state, **(own | facts | values))
    db.session.add(row)
    db.session.commit()
    return row


def runs() -> list[SyncRun]:
    """Return all runs, the oldest first."""
    return list(db.session.scalars(db.select(SyncRun).order_by(SyncRun.id)))
