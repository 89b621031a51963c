"""What can go wrong with Amazon, as types a caller can act on."""


class AmazonError(Exception):
    """Amazon could not be asked, refused, or answered what cannot be read.

    `code` is Amazon's error code or "" when it gave none, `status` the HTTP status or None when no answer came,
    `request_id` Amazon's id of the request ("" when unknown) and `operation` Amazon's name of the operation.
    `is_outcome_unknown` says that a write may or may not have happened: read Amazon's state before repeating it.
    """

    is_retryable = False

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        status: int | None = None,
        request_id: str = "",
        operation: str = "",
        is_outcome_unknown: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.request_id = request_id
        self.operation = operation
        self.is_outcome_unknown = is_outcome_unknown

    def __str__(self) -> str:
        facts = (
            (self.operation, self.operation),
            (self.status, f"HTTP {self.status}"),
            (self.code, self.code),
            (self.request_id, f"request id {self.request_id}"),
        )
        shown = ", ".join(text for is_known, text in facts if is_known)
        return f"{self.message} ({shown})" if shown else self.message


class AuthorizationRefused(AmazonError):
    """The seller's authorization is gone or was never given: only a new consent helps."""


class AppCredentialsRefused(AmazonError):
    """Amazon does not accept FlexDash's own client id and secret: no store can be served until that is mended."""


class TokenRefused(AmazonError):
    """Amazon gives no access token, for a reason that is neither the seller's consent nor FlexDash's credentials.

    It says nothing of any order, SKU or price: what was to be asked never reached Amazon.
    """


class AmazonUnavailable(AmazonError):
    """No usable answer: network, time-out or a fault on Amazon's side. Worth another try later."""

    is_retryable = True


class RedisUnavailable(AmazonUnavailable):
    """Redis, which keeps the usage plans and the access tokens, does not answer, so Amazon cannot be asked."""


class Throttled(AmazonError):
    """The usage plan is used up. Worth another try after `retry_after_seconds`."""

    is_retryable = True

    def __init__(self, message: str, *, retry_after_seconds: float = 0.0, **facts) -> None:
        super().__init__(message, **facts)
        self.retry_after_seconds = retry_after_seconds


class AddressExpired(AmazonUnavailable):
    """The address that Amazon gave for a document opens nothing any more: ask for another one."""


class UntrustedAddress(AmazonError):
    """Amazon's answer names an address for a document that FlexDash does not go to. Nothing was sent there."""


class UnreadableAnswer(AmazonError):
    """An answer that is not what the model says: HTML in place of JSON, a cut or far too long body."""

    is_retryable = True


class RequestRefused(AmazonError):
    """Amazon read the request and will not do it (400, 413, 415, 422). Repeating it changes nothing."""


class InvalidArgument(RequestRefused, ValueError):
    """FlexDash refused to send a request that Amazon's model does not allow. Nothing was sent."""


class AccessDenied(AmazonError):
    """The token is good but may not do this: a missing role, or Amazon has not allow-listed the merchant."""


class NotFound(AmazonError):
    """Amazon knows no such resource for this seller."""


class StateConflict(AmazonError):
    """The resource is in another state than the request needs: read it again, then decide."""


class UnreadableShipment(ValueError):
    """One shipment that cannot be worked with. `reason` says why; `shipment_id` is None when that is unreadable."""

    def __init__(self, reason: str, shipment_id: str | None = None) -> None:
        super().__init__(reason if shipment_id is None else f"shipment {shipment_id}: {reason}")
        self.reason = reason
        self.shipment_id = shipment_id


class UnreadableReturn(ValueError):
    """One return that cannot be worked with. `reason` says why; `return_id` is None when that is unreadable."""

    def __init__(self, reason: str, return_id: str | None = None) -> None:
        super().__init__(reason if return_id is None else f"return {return_id}: {reason}")
        self.reason = reason
        self.return_id = return_id


class UntrustedCallback(ValueError):
    """An address that Amazon is said to wait at, which is not one of Amazon's."""
