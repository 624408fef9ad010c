"""Addresses as operators write them: "host:port" or "unix:/path"."""


def host_and_port(address: str, name: str) -> tuple[str, int]:
    """Splits "host:port". Raises ValueError, naming the setting, when it is something else."""
    found = _split(address)
    if found is None:
        raise ValueError(f"{name}: got {address!r}, expected host:port with a port from 0 to 65535")
    return found


def check_address(address: str, name: str) -> None:
    """Raises ValueError, naming the setting, for what is neither "host:port" nor "unix:/path"."""
    if not address.startswith("unix:") and _split(address) is None:
        raise ValueError(f"{name}: got {address!r}, expected host:port (a port up to 65535) or unix:/path")


def _split(address: str) -> tuple[str, int] | None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        return None
    return host.strip("[]"), int(port)
