"""Making and removing the container of an instance. Blocks; called with the SDK's low-level client."""

import logging
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from services.agent.runtime.docker_engine import APIError, EngineNotFound
from services.agent.runtime.docker_preparation import Prepared
from services.agent.runtime.docker_spec import INSTANCE, container_of, host_of, labels_of
from services.agent.runtime.port import Attempt
from services.agent.workload import Workload

log = logging.getLogger(__name__)


class Creator:
    """Makes containers on one node. Ports are published on `publish`, or in no `network` but that one."""

    def __init__(self, node: str, publish: str, network: str) -> None:
        self._node, self._publish, self._network = node, publish, network
        self._bounds_disk = True

    def start(self, workload: Workload, attempt: Attempt, prepared: Prepared, api: Any) -> None:
        """A container that was created, and that nobody starts, is shown as ended. Raises APIError."""
        name = name_of(workload.id)
        values = container_of(workload, prepared.installed)
        values["labels"] = labels_of(workload, attempt, self._node, datetime.now(UTC))
        host = host_of(workload, prepared.directories, prepared.installed, self._node)
        host["network_mode"] = self._network or None
        published = workload.port and not self._network
        host["port_bindings"] = {workload.port: (self._publish,)} if published else {}
        self._create(name, workload, values, host, api)
        try:
            api.start(name)
        except APIError:
            remove(api, name)
            raise

    def _create(
        self, name: str, workload: Workload, values: dict[str, Any], host: dict[str, Any], api: Any
    ) -> None:
        """With its disk bounded, where the engine's storage can do that."""
        if workload.disk_mib and self._bounds_disk:
            bounded = api.create_host_config(storage_opt={"size": f"{workload.disk_mib}M"}, **host)
            try:
                api.create_container(workload.image, name=name, host_config=bounded, **values)
                return
            except APIError as refused:
                said = str(refused.explanation or refused)
                if "storage-opt" not in said:
                    raise
                self._bounds_disk = False
                log.warning("the disk of instances is not bounded, only placed by", extra={"why": said})
        api.create_container(workload.image, name=name, host_config=api.create_host_config(**host), **values)


def name_of(instance: str) -> str:
    """What the engine calls the container of an instance."""
    return f"easel-{instance}"


def remove(api: Any, name: str) -> None:
    """Whatever it does. Safe to repeat."""
    with suppress(EngineNotFound):
        api.remove_container(name, force=True, v=True)


def remove_volumes(api: Any, instance: str) -> None:
    """Those that go with the instance. Safe to repeat."""
    found = api.volumes(filters={"label": [f"{INSTANCE}={instance}"]})["Volumes"] or ()
    for volume in found:
        with suppress(EngineNotFound):
            api.remove_volume(volume["Name"], force=True)
