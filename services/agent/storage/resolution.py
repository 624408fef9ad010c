"""From an entry of `storage[]` to a mount of this node: pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from libs.domain.causes import Cause
from libs.spec import storage
from libs.spec.scalars import login_of
from libs.spec.secret_refs import bucket_secrets, resolved
from services.agent.mounts import HostDirectories, Mount, MountKind, NotHere, bucket_directory
from services.agent.storage.sources import GitSource, ImageSource, NfsSource, StoreSource

_STORE_KEYS = ("endpoint", "region", "addressing", "access_key_id", "secret_access_key", "session_token")


@dataclass(frozen=True)
class Resolver:
    """Makes the mounts of one instance. Raises NotHere for what this node cannot mount."""

    instance: str
    secrets: Mapping[str, str]
    directories: HostDirectories

    def mounts(self, entries: Sequence[storage.Mount]) -> tuple[Mount, ...]:
        return tuple(self._mount(index, entry) for index, entry in enumerate(entries))

    def file(self, path: str, field: str) -> Path | StoreSource:
        """The file behind `oss://bucket/path`: of this host, or in the directory of a store."""
        oss = storage.Oss.model_validate({"path": path})
        if oss.bucket in self.directories.buckets:
            return Path(bucket_directory(self.directories.buckets, oss.bucket, oss.prefix))
        directory = oss.path.rpartition("/")[0]
        return self._store(f"{field}: {oss.path}", storage.Oss.model_validate({"path": f"{directory}/"}))

    def value(self, text: str, field: str) -> str:
        """What `text` is or refers to."""
        try:
            return resolved(text, self.secrets)
        except KeyError as missing:
            name, _, key = str(missing.args[0]).partition("/")
            raise NotHere(
                f"{field}: secret://{name}/{key} is not there; make it with "
                f"`easel secret set {name} {key}=…`",
                Cause.SECRET_MISSING,
            ) from missing

    def _mount(self, index: int, entry: storage.Mount) -> Mount:
        path = "/" + "/".join(part for part in entry.mount_path.split("/") if part)
        makers: tuple[tuple[object, Callable[[int, str, storage.Mount], Mount]], ...] = (
            (entry.oss, self._oss),
            (entry.git, self._git),
            (entry.host_path, self._host_path),
            (entry.nfs, self._nfs),
            (entry.image, self._image),
            (entry.empty_dir, self._empty),
        )
        for source, make in makers:
            if source is not None:
                return make(index, path, entry)
        kind = ", ".join(entry.sources)
        raise NotHere(f"storage[{index}]: {kind} is not a source that an agent mounts")

    def _oss(self, index: int, path: str, entry: storage.Mount) -> Mount:
        assert entry.oss is not None  # noqa: S101
        oss, buckets = entry.oss, self.directories.buckets
        if oss.bucket in buckets:
            source = bucket_directory(buckets, oss.bucket, oss.prefix)
            return Mount(path, MountKind.BIND, source, oss.read_only, within=str(buckets[oss.bucket]))
        origin = self._store(f"storage[{index}].oss", oss)
        return Mount(path, MountKind.BIND, self._own(index), oss.read_only, origin=origin)

    def _store(self, field: str, oss: storage.Oss) -> StoreSource:
        for name in bucket_secrets(oss):
            known = {key: self.secrets.get(f"{name}/{key}", "") for key in _STORE_KEYS}
            if any(known.values()):
                known["endpoint"] = oss.endpoint or known["endpoint"]
                return StoreSource(oss.bucket, oss.prefix, **known)
        if oss.endpoint and not oss.secret:
            return StoreSource(oss.bucket, oss.prefix, oss.endpoint)
        buckets = self.directories.buckets
        known_buckets = ", ".join(sorted(buckets)) or "none"
        first = bucket_secrets(oss)[0]
        raise NotHere(
            f"{field}: this node has no directory for bucket {oss.bucket!r} (known: "
            f"{known_buckets}) and there is no secret with its store; give it a directory with `easel up "
            f"--bucket {oss.bucket}=DIR`, or with EASEL_AGENT_BUCKETS where the agent runs by itself, or a "
            f"store with `easel secret set {first} endpoint=… access_key_id=… secret_access_key=…`",
            Cause.SECRET_MISSING if oss.secret else Cause.NOT_ON_THIS_NODE,
        )

    def _git(self, index: int, path: str, entry: storage.Mount) -> Mount:
        assert entry.git is not None  # noqa: S101
        git, field = entry.git, f"storage[{index}].git"
        origin = GitSource(
            git.repo,
            git.branch,
            git.commit or "",
            self.value(git.username or "", f"{field}.username"),
            self.value(git.password or "", f"{field}.password"),
        )
        return Mount(path, MountKind.BIND, self._own(index), read_only=True, origin=origin)

    def _host_path(self, index: int, path: str, entry: storage.Mount) -> Mount:
        assert entry.host_path is not None  # noqa: S101
        wished = Path(entry.host_path.path)
        root = next((each for each in self.directories.roots if wished.is_relative_to(each)), None)
        if root is None:
            roots = ", ".join(map(str, self.directories.roots)) or "none"
            raise NotHere(
                f"storage[{index}].host_path: {wished} is below no directory that this node allows "
                f"(allowed: {roots}); its operator allows one with EASEL_AGENT_HOST_ROOTS"
            )
        return Mount(path, MountKind.BIND, str(wished), entry.host_path.read_only, within=str(root))

    def _nfs(self, index: int, path: str, entry: storage.Mount) -> Mount:
        assert entry.nfs is not None  # noqa: S101
        origin = NfsSource(entry.nfs.server, entry.nfs.path, entry.nfs.options or "")
        return Mount(path, MountKind.NFS, f"nfs-{index}", entry.nfs.read_only, origin=origin)

    def _image(self, index: int, path: str, entry: storage.Mount) -> Mount:
        assert entry.image is not None  # noqa: S101
        auth = self.value(entry.image.docker_auth or "", f"storage[{index}].image.dockerAuth")
        origin = ImageSource(
            entry.image.image, entry.image.path, login(auth, f"storage[{index}].image.dockerAuth")
        )
        return Mount(path, MountKind.IMAGE, f"image-{index}", origin=origin)

    def _empty(self, index: int, path: str, entry: storage.Mount) -> Mount:
        assert entry.empty_dir is not None  # noqa: S101
        limit = entry.empty_dir.size_limit
        size_mib = limit.mib if limit else 0
        if entry.empty_dir.medium == "memory" or entry.is_shared_memory:
            return Mount(path, MountKind.MEMORY, size_mib=size_mib)
        return Mount(path, MountKind.EMPTY, f"empty-{index}", size_mib=size_mib)

    def _own(self, index: int) -> str:
        return str(self.directories.own / self.instance / str(index))


def login(auth: str, field: str) -> tuple[str, str] | None:
    """User and password of a `dockerAuth` whose references are resolved. Raises NotHere when it is none."""
    if not auth:
        return None
    try:
        user, password = login_of(auth)
    except ValueError as unreadable:
        raise NotHere(
            f"{field}: the secret is not the base64 form of user:password", Cause.SECRET_MISSING
        ) from unreadable
    return user, password
