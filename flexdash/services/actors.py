"""Who acts, and what each role may do: one readable table."""

from dataclasses import dataclass
from enum import StrEnum

from flexdash.models import Role, User


class Permission(StrEnum):
    VIEW = "see stores, orders, sync runs and the Configuration Log"
    CONNECT_STORES = "connect, re-authorize and disconnect stores"
    CONFIGURE_STORES = "change toggles and hub mappings"
    MANAGE_STOCK = "upload and edit catalogs, prices and stock"
    WORK_ORDERS = "release orders and work them"
    REVEAL_BUYERS = "see buyer data"
    START_SYNCS = "start a sync"
    TAKE_ALARMS = "say that one takes care of an alarm"
    MANAGE_PEOPLE = "manage users, sellers and hubs"
    MANAGE_ALARMS = "set who is told of alarms"
    AUDIT = "see, export and verify the whole Configuration Log"
    REVERT_CHANGES = "revert a change of the configuration"
    AUDIT_ACCESS = "see and export the access log"


ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.MERCHANT: frozenset(
        {
            Permission.VIEW,
            Permission.CONNECT_STORES,
            Permission.CONFIGURE_STORES,
            Permission.MANAGE_STOCK,
            Permission.WORK_ORDERS,
            Permission.REVEAL_BUYERS,
            Permission.START_SYNCS,
            Permission.TAKE_ALARMS,
        }
    ),
    Role.ADMIN: frozenset(Permission),
    # Support looks and starts syncs again; configuration is read-only to them and buyer data stays masked.
    Role.SUPPORT: frozenset({Permission.VIEW, Permission.START_SYNCS, Permission.TAKE_ALARMS, Permission.AUDIT}),
}


@dataclass(frozen=True)
class Actor:
    """Who does something: a person, or FlexDash itself (`user_id` is None)."""

    workspace_id: int
    user_id: int | None
    name: str
    role: Role | None = None
    address: str = ""
    seller_ids: frozenset[int] | None = None  # None: all sellers of the workspace

    @classmethod
    def of_user(cls, user: User, address: str = "") -> "Actor":
        """Return the actor for a signed-in `user` coming from `address`."""
        limited = frozenset(seller.id for seller in user.sellers) if user.is_limited_to_sellers else None
        return cls(user.workspace_id, user.id, user.name, user.role, address, limited)

    @classmethod
    def system(cls, workspace_id: int) -> "Actor":
        """Return FlexDash itself, acting in one workspace."""
        return cls(workspace_id, None, "FlexDash")

    def may(self, permission: Permission) -> bool:
        """Say whether this actor's role has `permission`; FlexDash itself has every one."""
        return self.role is None or permission in ROLE_PERMISSIONS[self.role]
