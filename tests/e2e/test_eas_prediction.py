"""The published Python client of EAS, unmodified and in an environment of its own, calls a service."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.gateway.settings import Settings
from tests.e2e.services import TOKEN, a_process_service
from tests.support.embedded import EmbeddedEasel, done, embedded_easel
from tests.support.free_ports import free_port
from tests.support.gateway_harness import gateway_process
from tests.support.waiting import until

CLIENT = """
import sys
from eas_prediction import PredictClient, StringRequest

client = PredictClient(sys.argv[1], sys.argv[2])
client.set_token(sys.argv[3])
client.set_retry_count(1)
client.init()
print(client.predict(StringRequest("what is this?")).response_data.decode())
"""
# Calls until its input ends, without a second try of any call; says each time what it has seen so far.
STEADY_CLIENT = """
import json, sys, threading
from eas_prediction import ENDPOINT_TYPE_DIRECT, PredictClient, StringRequest

client = PredictClient(sys.argv[1], sys.argv[2])
client.set_token(sys.argv[3])
client.set_retry_count(1)
if sys.argv[4] == "DIRECT":
    client.set_endpoint_type(ENDPOINT_TYPE_DIRECT)
client.init()
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
answered, failures, runs = 0, [], set()
while not ended.is_set():
    try:
        runs.add(json.loads(client.predict(StringRequest("again")).response_data)["run"])
        answered += 1
    except Exception as error:
        failures.append(str(error))
    if answered % 20 == 0:
        print(json.dumps({"answered": answered, "failures": failures, "runs": sorted(runs)}), flush=True)
print(json.dumps({"answered": answered, "failures": failures, "runs": sorted(runs)}), flush=True)
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


@pytest.fixture
def easel(tmp_path: Path) -> Iterator[EmbeddedEasel]:
    with embedded_easel(tmp_path) as running:
        yield running


@dataclass
class SteadyClient:
    """What a client that calls without a pause has said last."""

    seen: dict[str, Any]

    async def more(self, count: int = 200) -> None:
        goal = self.seen["answered"] + count
        await until(
            lambda: self.seen["answered"] >= goal or self.seen["failures"], f"{count} more answers", 60
        )


@asynccontextmanager
async def steady_client(python: Path, gateway: str, service: str, mode: str) -> AsyncIterator[SteadyClient]:
    """Calls while the block runs; `seen` is complete after it."""
    process = await asyncio.create_subprocess_exec(
        python,
        *("-c", STEADY_CLIENT, gateway.removeprefix("http://"), service, TOKEN, mode),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    client = SteadyClient({"answered": 0, "failures": [], "runs": []})

    async def listen(lines: asyncio.StreamReader) -> None:
        async for line in lines:
            client.seen = json.loads(line)

    listening = asyncio.create_task(listen(process.stdout))
    try:
        yield client
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 30)
        await listening


async def updated(easel: EmbeddedEasel, service: str) -> None:
    """A rolling update from its beginning to its end."""
    done(await asyncio.to_thread(easel.easel, "modify", service, "-D", "metadata.memory=201", "--wait"))


@pytest.mark.timeout(400)
def test_the_published_client_calls_a_service_with_its_signature(
    tmp_path: Path, easel: EmbeddedEasel, client_python: Path
) -> None:
    easel.create(a_process_service(tmp_path, "asked", "echo.py"))

    def ask(token: str) -> subprocess.CompletedProcess[str]:
        words = [client_python, "-c", CLIENT, easel.context.gateway, "asked", token]
        return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)

    answer, refused = done(ask(TOKEN)), ask("another token")

    assert json.loads(answer.stdout)["body"] == "what is this?"
    assert refused.returncode != 0
    assert "401" in refused.stderr


@pytest.mark.timeout(400)
@pytest.mark.parametrize("mode", ["GATEWAY", "DIRECT"])
async def test_no_call_fails_while_a_service_is_updated(
    tmp_path: Path, easel: EmbeddedEasel, client_python: Path, mode: str
) -> None:
    easel.create(a_process_service(tmp_path, "steady", "echo.py", instances=2))

    async with steady_client(client_python, easel.context.gateway, "steady", mode) as client:
        await client.more()
        before = set(client.seen["runs"])
        await updated(easel, "steady")
        await client.more()

    assert client.seen["failures"] == []
    assert len(before) == 2
    assert len(set(client.seen["runs"]) - before) == 2


def node_gateway(easel: EmbeddedEasel, node: str) -> Settings:
    return Settings(
        name=f"node-{node}",
        node=node,
        scheduler=easel.context.scheduler,
        join_token_file=easel.data_dir / "join.token",
        listen=f"127.0.0.1:{free_port()}",
        data_dir=easel.data_dir / f"node-{node}",
        envoy_concurrency=1,
        access_log=easel.home / f"{node}.log",
    )


@asynccontextmanager
async def second_node(easel: EmbeddedEasel) -> AsyncIterator[str]:
    """An agent of another node, on this machine with ports of its own."""
    settings = {
        "EASEL_AGENT_NODE": "second",
        "EASEL_AGENT_SCHEDULER": easel.context.scheduler,
        "EASEL_AGENT_JOIN_TOKEN_FILE": str(easel.data_dir / "join.token"),
        "EASEL_AGENT_DATA_DIR": str(easel.data_dir / "second"),
        "EASEL_AGENT_FIRST_PORT": "30000",
        "EASEL_AGENT_LAST_PORT": "30999",
        "EASEL_AGENT_STOP_INSTANCES_ON_EXIT": "true",
    }
    agent = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.agent", env={**os.environ, **settings}
    )
    try:
        yield "second"
    finally:
        agent.terminate()
        await asyncio.wait_for(agent.wait(), 60)


async def places(easel: EmbeddedEasel, service: str) -> set[str]:
    url = f"{easel.context.gateway}/api/v1/servicediscovery/upstreams/{service}"
    async with httpx.AsyncClient() as http:
        items = (await http.get(url)).json()["endpoints"]["items"]
    return {f"{each['ip']}:{each['port']}" for each in items}


@pytest.mark.timeout(400)
async def test_direct_calls_go_to_the_gateways_of_two_nodes_and_none_fails_in_an_update(
    tmp_path: Path, easel: EmbeddedEasel, client_python: Path
) -> None:
    (first,) = [each["name"] for each in json.loads(done(easel.easel("node", "ls", "-o", "json")).stdout)]
    async with second_node(easel) as second:
        here, there = node_gateway(easel, first), node_gateway(easel, second)
        async with gateway_process(here), gateway_process(there):
            await until(lambda: second in easel.easel("node", "ls").stdout, "the second node to join", 60)
            spec = a_process_service(tmp_path, "steady", "echo.py", instances=4)
            await asyncio.to_thread(easel.create, spec)
            expected = {here.listen, there.listen}

            async def on_both() -> bool:
                return await places(easel, "steady") == expected

            await until(on_both, "a place on each node")
            async with steady_client(client_python, easel.context.gateway, "steady", "DIRECT") as client:
                await client.more()
                await updated(easel, "steady")
                await client.more()

    assert client.seen["failures"] == []
    assert len(client.seen["runs"]) >= 6
    for gateway in (here, there):
        assert gateway.access_log is not None
        assert '"path":"/"' in gateway.access_log.read_text()
