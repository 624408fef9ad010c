"""When two names of a GPU model, an image or a version mean the same thing."""

import re
from functools import lru_cache


@lru_cache(maxsize=4096)
def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9]+", text.lower()))


@lru_cache(maxsize=4096)
def model_matches(asked: str, model: str) -> bool:
    """True when the device's name has every word asked for: "A10" is not an "NVIDIA A100"."""
    words = _words(asked)
    return bool(words) and words <= _words(model)


@lru_cache(maxsize=4096)
def version_matches(asked: str, installed: str) -> bool:
    """True when every part asked for is the installed one's: "550.54" is "550.54.15", and not "550.5"."""
    wanted, there = asked.split("."), installed.split(".")
    return len(wanted) <= len(there) and all(map(_same_part, wanted, there))


def _same_part(asked: str, installed: str) -> bool:
    if asked.isdecimal() and installed.isdecimal():
        return int(asked) == int(installed)
    return asked == installed


@lru_cache(maxsize=4096)
def image_key(image: str) -> str:
    """The image reference with its tag spelled out: `repo/app` is `repo/app:latest`."""
    named_exactly = "@" in image or ":" in image.rpartition("/")[2]
    return image if named_exactly or not image else f"{image}:latest"
