"""What a part says whose settings are refused."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("part", "variable", "value", "sentence"),
    [
        ("metrics", "EASEL_METRICS_LISTEN", "nonsense", "listen: got 'nonsense', expected host:port"),
        ("gateway", "EASEL_GATEWAY_LISTEN", "nonsense", "got 'nonsense', expected"),
        (
            "autoscaler",
            "EASEL_AUTOSCALER_LOOK_EVERY",
            "often",
            "EASEL_AUTOSCALER_LOOK_EVERY: Input should be",
        ),
        (
            "agent",
            "EASEL_AGENT_FIRST_PORT",
            "first",
            "EASEL_AGENT_FIRST_PORT: Input should be a valid integer",
        ),
        (
            "scheduler",
            "EASEL_SCHEDULER_LISTEN",
            "127.0.0.1:1",
            "EASEL_SCHEDULER_DATABASE_URL: Field required",
        ),
    ],
)
def test_a_part_ends_with_one_sentence(part: str, variable: str, value: str, sentence: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", f"services.{part}"],
        env={**os.environ, variable: value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith(f"easel {part}: ") and sentence in ended.stderr
    assert ended.stderr.count("\n") == 1
