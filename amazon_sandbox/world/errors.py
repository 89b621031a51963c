"""Refusals of the Selling Partner API, with the codes Amazon documents for External Fulfillment."""

from dataclasses import dataclass


@dataclass
class ApiError(Exception):
    """An answer other than success. `code`, `message` and `details` are Amazon's three error fields."""

    status: int
    code: str
    message: str
    details: str = ""

    def body(self) -> dict:
        """The error list as the models describe it."""
        error = {"code": self.code, "message": self.message, "details": self.details}
        return {"errors": [error]}


def invalid_input(details: str) -> ApiError:
    """400: the request is missing something or cannot be parsed."""
    return ApiError(400, "SC_00002", "InvalidInput", details)


def not_found(details: str) -> ApiError:
    """404: no such resource for this seller."""
    return ApiError(404, "SC_00003", "NotFound", details)


def conflict(details: str) -> ApiError:
    """409: the resource is in another state. The code is the sandbox's own; Amazon's list stops before it."""
    return ApiError(409, "StateConflict", "The request conflicts with the current state.", details)


def names_buyer(address: dict) -> ApiError:
    """400 whose words quote the buyer at `address`, as a refusal of it might."""
    parts = ("name", "addressLine1", "phoneNumber", "email", "postalCode")
    quoted = ", ".join(str(address[part]) for part in parts if address.get(part))
    return ApiError(400, "SC_00002", f"Ship-to of {quoted} is not serviceable", f"Buyer: {quoted}")


def unprocessable(details: str) -> ApiError:
    """422: understood, but cannot be done as asked. The code is the sandbox's own, as for 409."""
    return ApiError(422, "UnprocessableEntity", "The instructions cannot be processed.", details)


def throttled() -> ApiError:
    """429: the usage plan is used up."""
    return ApiError(429, "SC_00007", "RateLimited", "You exceeded your quota for the requested resource.")


def access_denied(details: str) -> ApiError:
    """403, which Amazon also answers for a missing, expired or revoked access token."""
    return ApiError(403, "Unauthorized", "Access to requested resource is denied.", details)


TOKEN_MISSING = "Access token is missing in the request header."  # noqa: S105
TOKEN_EXPIRED = "The access token you provided has expired."  # noqa: S105
TOKEN_REVOKED = "The access token you provided is revoked, malformed or invalid."  # noqa: S105
