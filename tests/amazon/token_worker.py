"""Run as a process by test_tokens: asks for the token from several threads and prints what each got."""

import sys
from concurrent.futures import ThreadPoolExecutor

import redis

from flexdash.amazon.errors import AmazonError
from flexdash.amazon.http_pool import shared_pool
from flexdash.amazon.lwa import LoginWithAmazon
from flexdash.amazon.tokens import AccessTokens


class Reversing:
    """A cipher that needs no key, for processes that share nothing but Redis."""

    def encrypt(self, text):
        return text[::-1].encode()

    def decrypt(self, token):
        return token.decode()[::-1]


def main(redis_url: str, lwa_url: str, n_threads: int) -> None:
    tokens = AccessTokens(
        redis.Redis.from_url(redis_url), Reversing(), LoginWithAmazon(lwa_url, "i", "s", shared_pool()), "Atzr|seller"
    )

    def ask(_):
        try:
            return tokens.get()
        except AmazonError as error:
            return type(error).__name__

    print("ready", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(n_threads) as pool:
        print("\n".join(pool.map(ask, range(n_threads))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
