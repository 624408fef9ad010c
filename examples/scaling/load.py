"""Sends requests at a rate, whatever becomes of them, and counts the answers by status.

python -m examples.scaling.load SERVICE RATE SECONDS
"""

import argparse
import asyncio
import time
from collections import Counter

import httpx

from easel_sdk import Easel
from easel_sdk.errors import EaselError


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
    parser = argparse.ArgumentParser(
        prog="python -m examples.scaling.load", description=__doc__.split("\n")[0]
    )
    parser.add_argument("service")
    parser.add_argument("rate", type=float, help="requests a second")
    parser.add_argument("seconds", type=float)
    asked = parser.parse_args()
    try:
        with Easel.from_context() as easel:
            url, token = easel.services.get(asked.service).endpoint, easel.services.token(asked.service)
    except EaselError as error:
        raise SystemExit(str(error)) from None
    for status, count in sorted(asyncio.run(load(url, token, asked.rate, asked.seconds)).items()):
        print(f"{status}: {count}")


if __name__ == "__main__":
    main()
