"""A Prometheus of a test's own, with the project's configuration and rules, reading one Easel each second."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.support.free_ports import free_port
from tests.support.promql import PROMETHEUS


@dataclass(frozen=True)
class Prometheus:
    """Asked over its HTTP API."""

    address: str

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            return httpx.get(f"{self.address}/-/ready", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The newest samples of an expression. Fails with what Prometheus says where it cannot be read."""
        answer = httpx.post(f"{self.address}/api/v1/query", data={"query": expr}, timeout=20).json()
        assert answer["status"] == "success", f"{expr}: {answer.get('error')}"
        return list(answer["data"]["result"])

    def names(self) -> set[str]:
        """Every metric of which there is a sample."""
        return set(httpx.get(f"{self.address}/api/v1/label/__name__/values", timeout=20).json()["data"])

    def rules(self) -> list[dict[str, Any]]:
        """Every rule with its health, as last evaluated."""
        groups = httpx.get(f"{self.address}/api/v1/rules", timeout=20).json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]


@contextmanager
def prometheus_of(target: str, home: Path) -> Iterator[Prometheus]:
    """Runs inside the block. It is configured by the project's file; only intervals and targets differ."""
    settings = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    del settings["alerting"]
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["rule_files"] = [str(PROMETHEUS / pattern) for pattern in settings["rule_files"]]
    settings["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    file = home / "prometheus.yml"
    file.write_text(yaml.safe_dump(settings))
    listens = f"127.0.0.1:{free_port()}"
    with (home / "prometheus.log").open("w") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={file}",
                f"--storage.tsdb.path={home / 'series'}",
                f"--web.listen-address={listens}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield Prometheus(f"http://{listens}")
        finally:
            process.terminate()
            process.wait(20)
