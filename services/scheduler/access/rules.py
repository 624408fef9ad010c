"""What can be done to access tokens: pure decisions for the ledger. Values are in none of their sentences.

A service and a group each have a first token, named "default", which is part of their own record; further
ones are records of their own. All of an owner's tokens open it alike.
"""

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

from libs.db.changes import Changes, Record
from libs.domain.errors import AlreadyExists, FailedPrecondition, InvalidRequest, NotFound
from libs.domain.records import Event, Service, ServiceVersion
from libs.domain.spans import span_text
from libs.domain.states import EventKind
from libs.domain.traffic import AccessToken
from libs.spec.refusal import Words
from services.scheduler.admin.writing import changeable
from services.scheduler.world import World

DEFAULT = "default"
# A signature is checked against every token of its owner.
MOST_TOKENS = 32
LONGEST = timedelta(days=3650)
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
# What may stand in a header, without the spaces that part its forms.
_VALUE = re.compile(r"[!-~]{8,256}")


@dataclass(frozen=True)
class Owner:
    """What a token opens: `kind` is "service" or "group"."""

    kind: str
    name: str

    @property
    def first_id(self) -> str:
        """The id of the owner's first token."""
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True)
class Rotated:
    """The token that has the name now, and the one that had it before."""

    after: AccessToken
    before: AccessToken
    changes: Changes


def owner_of(world: World, service: str, group: str) -> Owner:
    """Raises InvalidRequest unless one of the two is given, and NotFound."""
    if bool(service) == bool(group):
        raise InvalidRequest("service", service, "either a service or a group")
    if service:
        world.service(service)
        return Owner("service", service)
    world.group(group)
    return Owner("group", group)


def tokens_of(world: World, owner: Owner) -> list[AccessToken]:
    """All of an owner's tokens, the first one at the beginning, then by name; also expired ones."""
    further = sorted(world.access_tokens_of(owner.kind, owner.name), key=lambda each: (each.name, each.id))
    return [first_of(world, owner), *further]


def first_of(world: World, owner: Owner) -> AccessToken:
    """The token that is part of its owner's record. Raises NotFound."""
    record = world.service(owner.name) if owner.kind == "service" else world.group(owner.name)
    return AccessToken(owner.first_id, owner.kind, owner.name, DEFAULT, record.token, record.created_at)


def token_by_id(world: World, token_id: str) -> AccessToken:
    """Raises NotFound."""
    kind, parted, name = token_id.partition(":")
    if parted:
        if kind in ("service", "group"):
            return first_of(world, Owner(kind, name))
    elif token_id in world.access_tokens:
        return world.access_tokens[token_id]
    raise NotFound(f"there is no access token {token_id!r}")


def created(
    world: World, owner: Owner, name: str, value: str, valid_for: timedelta | None, now: datetime
) -> AccessToken:
    """A further token. Raises InvalidRequest, AlreadyExists, FailedPrecondition."""
    _changeable(world, owner)
    if not _NAME.fullmatch(name):
        raise InvalidRequest("name", name, "up to 63 letters, digits, `.`, `_` and `-` between them")
    if valid_for is not None and not timedelta() < valid_for <= LONGEST:
        raise InvalidRequest("valid_for", Words(span_text(valid_for)), "more than 0, ten years at most")
    if value and not _VALUE.fullmatch(value):
        raise InvalidRequest("value", Words("the one given"), "8 to 256 printable characters without spaces")
    known = tokens_of(world, owner)
    if any(each.name == name for each in known):
        raise AlreadyExists(
            f"{owner.kind} {owner.name!r} has a token named {name!r} already; rotate it instead"
        )
    if len(known) >= MOST_TOKENS:
        raise FailedPrecondition(f"{owner.kind} {owner.name!r} has {MOST_TOKENS} tokens; delete one first")
    if value and any(each.value == value for each in known):
        raise AlreadyExists(f"{owner.kind} {owner.name!r} has a token of that value already")
    expires_at = now + valid_for if valid_for is not None else None
    return AccessToken(_new_id(), owner.kind, owner.name, name, value or _new_value(), now, expires_at)


def creation(token: AccessToken, now: datetime) -> Changes:
    """What must be stored for a new token to be there."""
    until = f" until {_moment(token.expires_at)}" if token.expires_at else ""
    why = f"access token {token.name!r} opens it{until}"
    return Changes(put=(token,), events=(_event(token, "AccessTokenCreated", why, now),))


def rotated(world: World, token_id: str, overlap: timedelta, now: datetime) -> Rotated:
    """Gives a name a new value; the value before opens its owner for `overlap` longer.

    Raises NotFound, InvalidRequest, FailedPrecondition.
    """
    token = token_by_id(world, token_id)
    owner = Owner(token.owner_kind, token.owner)
    _changeable(world, owner)
    if not timedelta() <= overlap <= LONGEST:
        raise InvalidRequest("overlap", Words(span_text(overlap)), "0 to ten years")
    if overlap and len(tokens_of(world, owner)) >= MOST_TOKENS:
        raise FailedPrecondition(
            f"{owner.kind} {owner.name!r} has {MOST_TOKENS} tokens, so the value before cannot be kept "
            "beside the new one; delete one first, or rotate it with `--overlap 0s`"
        )
    ends = now + overlap if token.expires_at is None else min(now + overlap, token.expires_at)
    before = replace(token, id=_new_id(), name=_name_before(world, owner, token.name), expires_at=ends)
    after = replace(token, value=_new_value(), created_at=now, expires_at=None, last_used_at=None)
    kept = () if not overlap else (replace(before, revision=0),)
    ending = f"the one before opens it until {_moment(ends)}" if overlap else "the one before opens nothing"
    why = f"access token {token.name!r} has a new value; {ending}"
    return Rotated(
        after,
        before,
        Changes((*_stored(world, after), *kept), (), (_event(after, "AccessTokenRotated", why, now),)),
    )


def deleted(world: World, token_id: str, now: datetime) -> Changes:
    """Raises NotFound, and FailedPrecondition for a first token, which can only be rotated."""
    token = token_by_id(world, token_id)
    _changeable(world, Owner(token.owner_kind, token.owner))
    if token.name == DEFAULT:
        raise FailedPrecondition(
            f"the first token of {token.owner_kind} {token.owner!r} cannot be deleted; give it a new value "
            f"with `easel access rotate {token.id} --overlap 0s`"
        )
    why = f"access token {token.name!r} opens it no longer"
    return Changes(delete=(token,), events=(_event(token, "AccessTokenDeleted", why, now),))


def expired(world: World, now: datetime) -> Changes:
    """The tokens whose time is over are deleted."""
    gone = [t for t in world.access_tokens.values() if t.expires_at is not None and t.expires_at <= now]
    told = (_event(t, "AccessTokenExpired", f"access token {t.name!r} has expired", now) for t in gone)
    return Changes(delete=tuple(gone), events=tuple(told))


def _stored(world: World, token: AccessToken) -> tuple[Record, ...]:
    """The records that hold a token's new value."""
    if token.name != DEFAULT:
        return (token,)
    if token.owner_kind == "group":
        return (replace(world.group(token.owner), token=token.value, updated_at=token.created_at),)
    service = world.service(token.owner)
    return (replace(service, token=token.value), *_versions_with(world, service, token.value))


def _versions_with(world: World, service: Service, value: str) -> Iterator[ServiceVersion]:
    """The stored versions that open by the token before, so that going to one brings no old token back."""
    for version in world.versions.get(service.name, {}).values():
        document = json.loads(version.spec_json)
        if document.get("token") == service.token:
            document["token"] = value
            yield replace(version, spec_json=json.dumps(document, sort_keys=True))


def _changeable(world: World, owner: Owner) -> None:
    if owner.kind == "service":
        changeable(world, owner.name, "its access tokens cannot be changed")


def _name_before(world: World, owner: Owner, name: str) -> str:
    taken = {each.name for each in tokens_of(world, owner)}
    names = (f"{name}-before{'' if n == 1 else f'-{n}'}" for n in count(1))
    return next(each for each in names if each not in taken)


def _moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def _new_id() -> str:
    return f"acc-{secrets.token_hex(6)}"


def _new_value() -> str:
    return secrets.token_urlsafe(24)


def _event(token: AccessToken, reason: str, why: str, now: datetime) -> Event:
    service = token.owner if token.owner_kind == "service" else ""
    return Event(now, EventKind.NORMAL, reason, why, token.owner_kind, token.owner, service)
