"""A new service from the document of another. Pure."""

import json
from datetime import datetime

from libs.domain.errors import AlreadyExists, InvalidSpec
from services.scheduler.admin.documents import in_force
from services.scheduler.admin.specs import Accepted, accept, updated
from services.scheduler.masking import MASKED
from services.scheduler.world import World


def cloned(world: World, name: str, new_name: str, change: str, now: datetime) -> Accepted:
    """The document in force under a new name, with `change` merged in; it gets a token of its own.

    Labels, group, references to secrets and the policies in force are taken along. Raises NotFound,
    InvalidSpec, AlreadyExists.
    """
    service = world.service(name)
    document = in_force(service, world.version(name, service.version))
    document.pop("token", None)
    records = {"autoscaler": world.autoscalers.get(name), "cronScaler": world.cronscalers.get(name)}
    for key, record in records.items():
        document.pop(key, None)
        if record is not None:
            document[key] = json.loads(record.policy_json)
    document["metadata"]["name"] = new_name
    changed = updated(json.dumps(document), change or "{}", False)
    if changed.get("token") == MASKED:
        del changed["token"]
    taken = accept(changed, world, now)
    if taken.spec.name != new_name:
        raise InvalidSpec("metadata.name", taken.spec.name, f"{new_name!r}, the name of the copy")
    if new_name in world.services:
        raise AlreadyExists(f"there is a service {new_name!r} already; choose another name for the copy")
    return taken
