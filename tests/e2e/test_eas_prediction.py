"""The published Python client of EAS, unmodified and in an environment of its own, calls a service."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.services import TOKEN, a_process_service
from tests.support.embedded import done, embedded_easel

CLIENT = """
import sys
from eas_prediction import PredictClient, StringRequest

client = PredictClient(sys.argv[1], sys.argv[2])
client.set_token(sys.argv[3])
client.set_retry_count(1)
client.init()
print(client.predict(StringRequest("what is this?")).response_data.decode())
"""


@pytest.fixture(scope="module")
def client_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("eas-client")
    python = home / "bin" / "python"
    for command in (
        [sys.executable, "-m", "venv", str(home)],
        [str(python), "-m", "pip", "install", "--quiet", "eas-prediction==0.36"],
    ):
        made = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert made.returncode == 0, f"{command} said: {made.stdout}{made.stderr}"
    return python


@pytest.mark.timeout(400)
def test_the_published_client_calls_a_service_with_its_signature(tmp_path: Path, client_python: Path) -> None:
    with embedded_easel(tmp_path) as easel:
        easel.create(a_process_service(tmp_path, "asked", "echo.py"))

        def ask(token: str) -> subprocess.CompletedProcess[str]:
            words = [client_python, "-c", CLIENT, easel.context.gateway, "asked", token]
            return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)

        answer, refused = done(ask(TOKEN)), ask("another token")

    assert json.loads(answer.stdout)["body"] == "what is this?"
    assert refused.returncode != 0
    assert "401" in refused.stderr
