"""What starting an agent and a gateway must not wait for."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("program", "unused"),
    [
        ("services.agent.__main__", "docker"),
        ("services.gateway.__main__", "httpx"),
        ("services.gateway.__main__", "aiohttp"),
    ],
)
def test_a_start_loads_no_client_of_what_was_not_chosen(program: str, unused: str) -> None:
    ask = f"import sys, {program}; print({unused!r} in sys.modules)"

    said = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)

    assert said.stdout == "False\n"
