"""Sends requests at a rate, whatever becomes of them, and counts the answers by status.

python -m examples.scaling.load SERVICE RATE SECONDS
"""

import asyncio
import sys
import time
from collections import Counter

import httpx

from easel_sdk import Easel


async def load(url: str, token: str, rate: float, seconds: float) -> Counter[str]:
    """Begins one request each 1/`rate` seconds; by status, or by the error where no answer came."""
    answers: Counter[str] = Counter()
    limits = httpx.Limits(max_connections=1_000)
    async with httpx.AsyncClient(timeout=60, limits=limits, headers={"Authorization": token}) as http:

        async def one() -> None:
            try:
                answers[str((await http.post(url, content=b"{}")).status_code)] += 1
            except httpx.HTTPError as error:
                answers[type(error).__name__] += 1

        begun, sent = time.monotonic(), 0
        async with asyncio.TaskGroup() as tasks:
            while (passed := time.monotonic() - begun) < seconds:
                while sent < passed * rate:
                    tasks.create_task(one())
                    sent += 1
                await asyncio.sleep(0.005)
    return answers


def main() -> None:
    name, rate, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    with Easel.from_context() as easel:
        url, token = easel.services.get(name).endpoint, easel.services.token(name)
    for status, count in sorted(asyncio.run(load(url, token, rate, seconds)).items()):
        print(f"{status}: {count}")


if __name__ == "__main__":
    main()
