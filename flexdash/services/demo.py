"""The demo workspace: hubs, sellers, SKUs with stock and one person per role, but no store: connecting comes first."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from flexdash.database import release_connection, transaction
from flexdash.extensions import db, settings
from flexdash.models import Hub, Role, Section, Seller, Sku, StockCause, User, Workspace
from flexdash.services import config_log, passwords, workspaces
from flexdash.services.actors import Actor
from flexdash.services.errors import NotAllowed
from flexdash.services.stock_ledger import Ledger

WORKSPACE = "Demo Company"
NOT_IN_PRODUCTION = (
    "The demo workspace has passwords that everyone knows, so it is not made in production. "
    "Make your own workspace with: python -m flexdash create-user"
)

# Known to everyone on purpose; refused in production.
_PEOPLE = (
    (Role.MERCHANT, "Ravi Merchant", "merchant@demo.example", "demo-merchant-pass"),
    (Role.ADMIN, "Asha Admin", "admin@demo.example", "demo-admin-pass"),
    (Role.SUPPORT, "Meera Support", "support@demo.example", "demo-support-pass"),
)
_HUBS = (
    ("PUNE", "Pune Warehouse", "Pune", "IN", "Asia/Kolkata", True),
    ("BLR", "Bengaluru Warehouse", "Bengaluru", "IN", "Asia/Kolkata", True),
    ("DXB", "Dubai Warehouse", "Dubai", "AE", "Asia/Dubai", True),
    ("DEL", "Delhi Warehouse", "Delhi", "IN", "Asia/Kolkata", False),
)
_SELLERS = ("Sunrise Retail", "Nova Home", "Alpine Goods")
_SKUS = (
    ("TEE-BLK-M", "T-shirt, black, size M"),
    ("TEE-WHT-L", "T-shirt, white, size L"),
    ("MUG-STD", "Mug, 300 ml"),
    ("LAMP-OAK", "Desk lamp, oak"),
    ("YOGA-MAT", "Yoga mat, 6 mm"),
    ("BOTTLE-1L", "Steel bottle, 1 litre"),
    ("NOTE-A5", "Notebook, A5, ruled"),
    ("CABLE-USBC", "USB-C cable, 2 m"),
    ("PILLOW-2", "Pillow, pack of 2"),
    ("KETTLE-17", "Electric kettle, 1.7 litres"),
)
_OPENING_STOCK = (120, 80, 200, 25, 60, 150, 300, 240, 40, 15)  # of each SKU in turn, in every active hub


def make() -> bool:
    """Make the demo workspace unless there is one; return whether it was made. Raises NotAllowed in production."""
    if settings.is_production:
        raise NotAllowed(NOT_IN_PRODUCTION)
    if _exists():
        return False
    hashes = {email: passwords.hash_password(password) for _, _, email, password in _PEOPLE}
    try:
        with transaction():
            if _exists():
                return False
            _add_all(hashes)
    except IntegrityError:
        if not _exists():
            raise
        return False  # another process made it at the same moment
    return True


def sign_ins() -> list[tuple[str, str, str]]:
    """Return (role, e-mail, password) of the demo people who can still sign in; a changed password is empty."""
    emails = [email for _, _, email, _ in _PEOPLE]
    query = select(User.email, User.password_hash).where(User.email.in_(emails), User.is_active)
    hashes = dict(db.session.execute(query).all())
    release_connection()
    return [
        (role.value, email, password if passwords.verify(hashes[email], password) else "")
        for role, _, email, password in _PEOPLE
        if email in hashes
    ]


def _exists() -> bool:
    return db.session.scalar(select(Workspace.id).where(Workspace.name == WORKSPACE)) is not None


def _add_all(hashes: dict[str, str]) -> None:
    workspace = workspaces.add(WORKSPACE, "Asia/Kolkata")
    for role, name, email, _ in _PEOPLE:
        db.session.add(User(workspace_id=workspace.id, role=role, name=name, email=email, password_hash=hashes[email]))
    for code, name, city, country_code, time_zone, is_active in _HUBS:
        db.session.add(
            Hub(
                workspace_id=workspace.id,
                code=code,
                name=name,
                city=city,
                country_code=country_code,
                time_zone=time_zone,
                is_active=is_active,
            )
        )
    sellers = [Seller(workspace_id=workspace.id, name=name) for name in _SELLERS]
    db.session.add_all(sellers)
    db.session.flush()
    hub_ids = db.session.scalars(select(Hub.id).where(Hub.workspace_id == workspace.id, Hub.is_active)).all()
    for seller in sellers:
        db.session.add_all(
            Sku(workspace_id=workspace.id, seller_id=seller.id, sku_code=code, name=name) for code, name in _SKUS
        )
        db.session.flush()
        _add_stock(seller, hub_ids)
    sentence = "FlexDash made the demo workspace with its people, hubs, sellers, SKUs and stock"
    config_log.record(Actor.system(workspace.id), Section.USERS, sentence)


def _add_stock(seller: Seller, hub_ids: Sequence[int]) -> None:
    ledger = Ledger(seller.workspace_id, seller.id)
    quantities = {code: quantity for (code, _), quantity in zip(_SKUS, _OPENING_STOCK, strict=True)}
    ledger.hold(((hub_id, code) for hub_id in hub_ids for code in quantities), make_missing=True)
    for hub_id in hub_ids:
        for code, quantity in quantities.items():
            if level := ledger.level(hub_id, code):
                ledger.change(level, StockCause.EDIT, on_hand=quantity, note="Opening stock of the demo workspace.")
    ledger.write()
