"""Run as a process by test_pacing: takes turns from several threads and knocks at Amazon's door after each."""

import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import redis

from flexdash.amazon.pacing import Pacer, Plan


def main(redis_url: str, door_url: str, n_threads: int, n_turns: int, rate: str, burst: str) -> None:
    pacer = Pacer(redis.Redis.from_url(redis_url))
    plan = Plan("batchInventory", float(rate), int(burst))
    http = httpx.Client(trust_env=False)

    def work(_):
        for _ in range(n_turns):
            pacer.acquire("EU:A1SELLER", plan)
            http.get(door_url)

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(work, range(n_threads)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], sys.argv[6])
