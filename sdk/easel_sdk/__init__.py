"""Easel's client library: `Easel` and `AsyncEasel`, the values they return, the errors they raise."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easel_sdk.aio import AsyncEasel
    from easel_sdk.context import Context
    from easel_sdk.errors import EaselError
    from easel_sdk.sync import Easel

# Loaded when first asked for: a program that only reads a context does not pay for gRPC.
_HOMES = {
    "AsyncEasel": "easel_sdk.aio",
    "Context": "easel_sdk.context",
    "Easel": "easel_sdk.sync",
    "EaselError": "easel_sdk.errors",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["AsyncEasel", "Context", "Easel", "EaselError"]
