"""The tables, one file per noun."""

from flexdash.models.config_event import ConfigChainHead, ConfigEvent, Section
from flexdash.models.hub import Hub, HubMapping, VerifyResult
from flexdash.models.order import (
    Acknowledgement,
    HoldReason,
    Order,
    OrderEvent,
    OrderHold,
    OrderLine,
    OrderState,
)
from flexdash.models.seller import Seller, Sku
from flexdash.models.store import AuthorizationAttempt, Store, StoreStatus
from flexdash.models.sync import (
    ApiCall,
    AttemptOutcome,
    QuarantinedShipment,
    RunState,
    Sync,
    SyncAttempt,
    SyncRun,
    SyncState,
    Trigger,
)
from flexdash.models.user import Role, User, UserSession, user_sellers
from flexdash.models.workspace import Workspace

__all__ = [
    "Acknowledgement",
    "ApiCall",
    "AttemptOutcome",
    "AuthorizationAttempt",
    "ConfigChainHead",
    "ConfigEvent",
    "HoldReason",
    "Hub",
    "HubMapping",
    "Order",
    "OrderEvent",
    "OrderHold",
    "OrderLine",
    "OrderState",
    "QuarantinedShipment",
    "Role",
    "RunState",
    "Section",
    "Seller",
    "Sku",
    "Store",
    "StoreStatus",
    "Sync",
    "SyncAttempt",
    "SyncRun",
    "SyncState",
    "Trigger",
    "User",
    "UserSession",
    "VerifyResult",
    "Workspace",
    "user_sellers",
]
