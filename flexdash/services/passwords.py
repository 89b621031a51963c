"""Passwords: hashing with argon2, checking, and the rules for a new one."""

import secrets
import unicodedata
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from flexdash.extensions import settings
from flexdash.services.errors import FieldRefused

MIN_LENGTH = 12
MAX_LENGTH = 200  # longer ones would only cost time
# Letters and digits that nobody mistakes for one another when reading a password aloud.
_READABLE = "abcdefghjkmnpqrstuvwxyz23456789"
# The ones every list of leaked passwords starts with, that are long enough to pass the length rule.
_COMMON = frozenset(
    {
        "123456789012",
        "1234567890123",
        "12345678901234",
        "123456789123",
        "123123123123",
        "111111111111",
        "000000000000",
        "abcdefghijkl",
        "abcdefghijklm",
        "abc123abc123",
        "administrator",
        "administrator1",
        "changeme1234",
        "changemenow1",
        "iloveyou1234",
        "letmeinplease",
        "letmein12345",
        "password1234",
        "password12345",
        "password123456",
        "passwordpassword",
        "passw0rd1234",
        "p@ssw0rd1234",
        "p@ssword1234",
        "qwerty123456",
        "qwertyqwerty",
        "qwertyuiop12",
        "qwertyuiop123",
        "qwertyuiopas",
        "qwertyuiopasdfghjkl",
        "1q2w3e4r5t6y",
        "1qaz2wsx3edc",
        "asdfghjkl123",
        "welcome12345",
        "welcome123456",
        "flexdash1234",
        "sellerflex123",
    }
)


def hash_password(password: str) -> str:
    """Return the argon2id hash of `password`, salted, in its usual text form."""
    return _hasher(settings.is_testing).hash(_normal(password))


def verify(password_hash: str | None, password: str) -> bool:
    """Say whether `password` is the one behind `password_hash`.

    With no hash, for an account that does not exist, it takes as long and answers False: the time tells nothing.
    """
    hasher = _hasher(settings.is_testing)
    if len(password) > MAX_LENGTH:
        password, password_hash = "", None
    try:
        hasher.verify(password_hash or _hash_of_nobody(settings.is_testing), _normal(password))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Say whether the hash was made with weaker parameters than the present ones."""
    return _hasher(settings.is_testing).check_needs_rehash(password_hash)


def refuse_weak(password: str, *, field: str, email: str = "", name: str = "") -> None:
    """Raise FieldRefused for `field` when `password` is too short, too long, very common, or made of who it is for."""
    if len(password) < MIN_LENGTH:
        raise FieldRefused(field, f"Use at least {MIN_LENGTH} characters; a few words in a row are easy to remember.")
    if len(password) > MAX_LENGTH:
        raise FieldRefused(field, f"Use at most {MAX_LENGTH} characters.")
    plain = _normal(password).casefold()
    if plain in _COMMON or len(set(plain)) < 5:
        raise FieldRefused(field, "This password is one of the first that people guess. Choose another one.")
    letters = _letters(plain)
    own = {_letters(email), _letters(email.partition("@")[0]), _letters(name)} - {""}
    if any(not letters.replace(word, "").strip("0123456789") for word in own):
        raise FieldRefused(field, "This password is the name or e-mail of the account. Choose another one.")


def generate() -> str:
    """Return a random password of five groups, easy to read aloud and to type (about 99 bits)."""
    return "-".join("".join(secrets.choice(_READABLE) for _ in range(4)) for _ in range(5))


@lru_cache
def _hasher(is_testing: bool) -> PasswordHasher:
    # Tests hash hundreds of passwords; they need the algorithm, not its cost.
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1) if is_testing else PasswordHasher()


@lru_cache
def _hash_of_nobody(is_testing: bool) -> str:
    return _hasher(is_testing).hash(secrets.token_urlsafe(16))


def _normal(password: str) -> str:
    # The same password typed on two keyboards can come as different code points.
    return unicodedata.normalize("NFKC", password)


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())
