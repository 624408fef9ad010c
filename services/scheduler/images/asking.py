"""Images that the nodes of a resource group are to have before anything asks for them. Pure."""

import re
import secrets
from collections.abc import Iterator
from datetime import datetime

from easel.agent.v1 import agent_pb2
from libs.db.changes import Changes
from libs.domain.assets import ImagePull
from libs.domain.errors import InvalidRequest
from libs.domain.records import PUBLIC_GROUP, Event, Node
from libs.domain.states import EventKind, Runtime
from libs.spec.refusal import Words
from libs.spec.secret_refs import SCHEME, parse_ref
from services.scheduler.secrets.vault import LOGIN, Vault, login_of, pull_owner
from services.scheduler.secrets.wants import MAKE_IT
from services.scheduler.world import World

_IMAGE = re.compile(r"[^\s]{1,512}")
_HIDDEN = Words("a hidden value")


def new_id() -> str:
    return f"pull-{secrets.token_hex(4)}"


def asked(
    world: World, vault: Vault, pull_id: str, image: str, group: str, docker_auth: str, now: datetime
) -> Changes:
    """The pull under a new id; one of the same image on the same group gives way, so that it is pulled again.

    Raises InvalidRequest, NotFound for the group, FailedPrecondition when the login cannot be sealed.
    """
    if not _IMAGE.fullmatch(image):
        raise InvalidRequest("image", image[:80], "the name of an image, such as registry/name:tag")
    group = group or PUBLIC_GROUP
    world.resource_group(group)
    pull = ImagePull(pull_id, image, group, now, _kept_login(world, vault, pull_id, docker_auth))
    older = (
        each for each in world.image_pulls.values() if (each.image, each.resource_group) == (image, group)
    )
    why = f"{image} is to be on every node of {group}"
    return Changes(put=(pull,), delete=tuple(older), events=(_event("ImagePullAsked", why, pull_id, now),))


def deleted(world: World, pull_id: str, now: datetime) -> Changes:
    """Raises NotFound."""
    pull = world.image_pull(pull_id)
    why = f"{pull.image} stays where it is; nodes that join {pull.resource_group} are not asked for it"
    return Changes(delete=(pull,), events=(_event("ImagePullDeleted", why, pull_id, now),))


def pulls_for(world: World, node: Node, vault: Vault) -> Iterator[agent_pb2.ImagePull]:
    """What the node's agent is asked for, in a fixed order; a pull whose login cannot be read waits."""
    if node.runtime is not Runtime.DOCKER:
        return
    for pull in sorted(world.image_pulls.values(), key=lambda each: each.id):
        login = vault.login(pull) if pull.resource_group == node.resource_group else None
        if login is not None:
            user, password = login
            yield agent_pb2.ImagePull(id=pull.id, image=pull.image, user=user, password=password)


def _kept_login(world: World, vault: Vault, pull_id: str, docker_auth: str) -> str:
    if not docker_auth:
        return ""
    try:
        ref = parse_ref(docker_auth)
    except ValueError:
        raise InvalidRequest("docker_auth", docker_auth[:80], "secret://NAME or secret://NAME/KEY") from None
    if ref is None:
        if login_of(docker_auth) is None:
            expected = "the base64 form of user:password, or secret://NAME/KEY of it"
            raise InvalidRequest("docker_auth", _HIDDEN, expected)
        return vault.seal.closed(pull_owner(pull_id), {LOGIN: docker_auth})
    record, shown = world.secrets.get(ref.name), f"{SCHEME}{ref.id}"
    if record is None or ref.key not in record.keys:
        raise InvalidRequest("docker_auth", shown, f"an existing secret and key; {MAKE_IT}")
    values = vault.values(ref.name)
    if values is None or login_of(values[ref.key]) is None:
        expected = "a secret that can be read and holds the base64 form of user:password"
        raise InvalidRequest("docker_auth", shown, expected)
    return shown


def _event(reason: str, why: str, pull_id: str, now: datetime) -> Event:
    return Event(now, EventKind.NORMAL, reason, why, "image pull", pull_id)
