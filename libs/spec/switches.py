"""What the switches under `features` ask of a node, read from their text."""

import re

from libs.spec.quantity import GIB, parse_quantity
from libs.spec.refusal import refused
from libs.spec.service import ServiceSpec

EXTRA_DISK = "eas.aliyun.com/extra-ephemeral-storage"
GPU_DRIVER = "eas.aliyun.com/gpu-driver-version"
# "550.54.15", or with the product before it: "tesla=550.54.15".
_DRIVER = re.compile(r"(?:[A-Za-z][A-Za-z0-9_-]*=)?(\d+(?:\.\d+){0,3})")


def extra_disk_mib(spec: ServiceSpec) -> int:
    """Disk that an instance wants beside `metadata.disk`."""
    written = spec.features.get(EXTRA_DISK)
    return parse_quantity(written, bare_unit_mib=GIB).mib if written else 0


def gpu_driver(spec: ServiceSpec) -> str:
    """The version of the GPU driver that the node must have, perhaps only its first parts; empty for any."""
    found = _DRIVER.fullmatch(spec.features.get(GPU_DRIVER, "").strip())
    return found[1] if found else ""


def switches_can_be_read(spec: ServiceSpec) -> None:
    """Raises InvalidSpec for a switch whose text does not say what it asks for."""
    disk, driver = spec.features.get(EXTRA_DISK), spec.features.get(GPU_DRIVER)
    try:
        extra_disk_mib(spec)
    except ValueError:
        expected = 'a size such as "100Gi", or a number of GiB'
        raise refused(("features", EXTRA_DISK), disk, expected) from None
    if driver and not gpu_driver(spec):
        expected = 'a version such as "550.54.15" or "tesla=550.54.15"'
        raise refused(("features", GPU_DRIVER), driver, expected)
