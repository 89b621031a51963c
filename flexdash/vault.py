"""Encryption of what must not be read from the database: refresh tokens and buyer data."""

from collections.abc import Iterable

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class UnreadableSecret(Exception):
    """A stored value was encrypted with a key that is not in ENCRYPTION_KEYS."""


class Vault:
    """Encrypts with the first key and decrypts with any of them, so that keys can be changed while serving."""

    def __init__(self, keys: Iterable[str]) -> None:
        fernets = [Fernet(key) for key in keys]
        self._newest, self._fernet = fernets[0], MultiFernet(fernets)

    def encrypt(self, text: str) -> bytes:
        """Return `text` encrypted with the newest key."""
        return self._fernet.encrypt(text.encode())

    def decrypt(self, token: bytes) -> str:
        """Return the text behind `token`; raise UnreadableSecret when no key opens it."""
        try:
            return self._fernet.decrypt(token).decode()
        except InvalidToken as error:
            raise UnreadableSecret("no key in ENCRYPTION_KEYS opens this value") from error

    def encrypt_bytes(self, content: bytes) -> bytes:
        """Return `content`, such as a file, encrypted with the newest key."""
        return self._fernet.encrypt(content)

    def decrypt_bytes(self, token: bytes) -> bytes:
        """Return the bytes behind `token`; raise UnreadableSecret when no key opens it."""
        try:
            return self._fernet.decrypt(token)
        except InvalidToken as error:
            raise UnreadableSecret("no key in ENCRYPTION_KEYS opens this value") from error

    def rotate(self, token: bytes) -> bytes:
        """Return `token` encrypted anew with the newest key; raise UnreadableSecret when no key opens it."""
        try:
            return self._fernet.rotate(token)
        except InvalidToken as error:
            raise UnreadableSecret("no key in ENCRYPTION_KEYS opens this value") from error

    def is_current(self, token: bytes) -> bool:
        """Say whether `token` is encrypted with the newest key already."""
        try:
            self._newest.decrypt(token)
        except InvalidToken:
            return False
        return True
