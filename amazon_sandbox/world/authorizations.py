"""Codes, refresh tokens and access tokens, as Login with Amazon hands them out for a seller's consent."""

import secrets
from dataclasses import dataclass

from amazon_sandbox.world import errors
from amazon_sandbox.world.clock import Clock
from amazon_sandbox.world.database import Database

CODE_SECONDS = 300
GRANT_SECONDS = 365 * 86_400
CODE_FAULT = "The request has an invalid grant parameter : code"
REFRESH_FAULT = "The request has an invalid grant parameter : refresh_token"


@dataclass
class LwaError(Exception):
    """A refusal of the token service: HTTP status, OAuth error and its description."""

    status: int
    error: str
    description: str


@dataclass(frozen=True)
class Tokens:
    """What the token service answers. `expires_in` is in seconds; grantless calls have no refresh token."""

    access_token: str
    refresh_token: str | None
    expires_in: int


class Authorizations:
    """The tokens of all sellers. `access_token_seconds` may be shortened to try expiry."""

    def __init__(self, database: Database, clock: Clock):
        self._database = database
        self._clock = clock
        self.access_token_seconds = 3600
        self.load()

    def load(self) -> None:
        """Reads the access tokens still alive; older ones are forgotten."""
        with self._database.transaction() as connection:
            connection.execute("delete from access_tokens where expires_at < ?", (self._clock.now() - 86_400,))
        rows = self._database.rows("select token, seller_id, expires_at, is_revoked from access_tokens")
        self._access = {token: (seller_id, expires_at, bool(gone)) for token, seller_id, expires_at, gone in rows}

    def new_code(self, seller_id: str, client_id: str, redirect_uri: str) -> str:
        """An authorization code for the seller's consent: good once, for five minutes."""
        code = "RH" + secrets.token_urlsafe(24)
        values = (code, seller_id, client_id, redirect_uri, self._clock.now() + CODE_SECONDS)
        with self._database.transaction() as connection:
            connection.execute("insert into codes values (?, ?, ?, ?, ?, 0)", values)
        return code

    def redeem(self, code: str, client_id: str, redirect_uri: str | None) -> Tokens:
        """Tokens for a code. Raises LwaError for one unknown, used, expired, or of another redirect URI."""
        with self._database.transaction() as connection:
            found = connection.execute(
                "select seller_id, client_id, redirect_uri, expires_at, is_used from codes where code = ?", (code,)
            ).fetchone()
            if found is None or found[4] or found[3] < self._clock.now():
                raise LwaError(400, "invalid_grant", CODE_FAULT)
            if found[1] != client_id:
                raise LwaError(400, "unauthorized_client", "The code belongs to another client.")
            if redirect_uri is not None and found[2] != redirect_uri:
                raise LwaError(400, "invalid_grant", "The request has an invalid grant parameter : redirect_uri")
            connection.execute("update codes set is_used = 1 where code = ?", (code,))
            return self.grant(found[0], client_id)

    def grant(self, seller_id: str, client_id: str) -> Tokens:
        """A new year-long authorization of the app by this seller, with a first access token."""
        refresh_token = "Atzr|" + secrets.token_urlsafe(240)
        with self._database.transaction() as connection:
            connection.execute(
                "insert into grants values (?, ?, ?, ?, 0)",
                (refresh_token, seller_id, client_id, self._clock.now() + GRANT_SECONDS),
            )
            return self._new_access(seller_id, refresh_token)

    def refresh(self, refresh_token: str, client_id: str) -> Tokens:
        """A new access token; the refresh token stays the same. Raises LwaError when it is no longer good."""
        with self._database.transaction() as connection:
            found = connection.execute(
                "select seller_id, client_id, expires_at, is_revoked from grants where refresh_token = ?",
                (refresh_token,),
            ).fetchone()
            if found is None or found[3] or found[2] < self._clock.now():
                raise LwaError(400, "invalid_grant", REFRESH_FAULT)
            if found[1] != client_id:
                raise LwaError(400, "unauthorized_client", "The refresh token belongs to another client.")
            return self._new_access(found[0], refresh_token)

    def grantless(self) -> Tokens:
        """An access token that stands for the app alone; no seller's data answers to it."""
        with self._database.transaction():
            tokens = self._new_access("", "")
        return Tokens(tokens.access_token, None, tokens.expires_in)

    def seller_of(self, access_token: str | None) -> str:
        """The selling partner id an access token speaks for. Raises ApiError 403 as Amazon words it."""
        if not access_token:
            raise errors.access_denied(errors.TOKEN_MISSING)
        seller_id, expires_at, is_revoked = self._access.get(access_token, ("", 0.0, True))
        if is_revoked:
            raise errors.access_denied(errors.TOKEN_REVOKED)
        if expires_at <= self._clock.now():
            raise errors.access_denied(errors.TOKEN_EXPIRED)
        if not seller_id:
            raise errors.access_denied("")
        return seller_id

    def claimed_seller(self, access_token: str | None) -> str | None:
        """The seller an access token was made for, good or not any more; None for an unknown token."""
        return self._access.get(access_token or "", ("",))[0] or None

    def revoke(self, seller_id: str | None = None, *, only_access_tokens: bool = False) -> int:
        """Ends the authorizations of a seller (of all when None), and how many were ended. With
        `only_access_tokens` the refresh tokens stay good and the number is of access tokens."""
        of_seller, values = ("and seller_id = ?", (seller_id,)) if seller_id else ("", ())
        with self._database.transaction() as connection:
            update = "update {} set is_revoked = 1 where is_revoked = 0 " + of_seller  # noqa: S608 - fixed parts
            n_ended = connection.execute(update.format("access_tokens"), values).rowcount
            if not only_access_tokens:
                n_ended = connection.execute(update.format("grants"), values).rowcount
            self.load()
        return n_ended

    def n_grants(self) -> dict[str, int]:
        """How many authorizations each seller has that are still good."""
        sql = "select seller_id, count(*) from grants where is_revoked = 0 and expires_at > ? group by seller_id"
        return dict(self._database.rows(sql, self._clock.now()))

    def _new_access(self, seller_id: str, refresh_token: str) -> Tokens:
        token = "Atza|" + secrets.token_urlsafe(240)
        expires_at = self._clock.now() + self.access_token_seconds
        with self._database.transaction() as connection:
            connection.execute(
                "insert into access_tokens values (?, ?, ?, ?, 0)", (token, refresh_token, seller_id, expires_at)
            )
        self._access[token] = (seller_id, expires_at, False)
        return Tokens(token, refresh_token, self.access_token_seconds)
