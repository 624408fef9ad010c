"""Lengths of time, percents and sizes, as an option takes them and as a person reads them. Pure."""

import re
from datetime import timedelta

import typer

_LENGTH = re.compile(r"(\d{1,9})([smhd]?)")
_LONGEST = timedelta(days=36_525)
_UNITS = {"": "seconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_PERCENT = re.compile(r"\+?(\d{1,4}(?:\.\d{1,4})?) ?%")
_SIZE = re.compile(r"(\d{1,12}) ?([KMG]?)(i?)B?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3}


def length_of(option: str, text: str) -> timedelta:
    """`60s`, `5m`, `1h`, `30d` or bare seconds. Ends the command with a usage error on anything else."""
    found = _LENGTH.fullmatch(text.strip())
    if not found:
        raise _refused(option, text, "a time such as 60s, 5m or 1h")
    length = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if length > _LONGEST:
        raise _refused(option, text, "a time of at most a hundred years")
    return length


def share_of(option: str, text: str) -> float:
    """`1%` as 0.01; a `+` before it changes nothing. Ends the command with a usage error on anything else."""
    found = _PERCENT.fullmatch(text.strip())
    if not found:
        raise _refused(option, text, "a percentage such as 1% or 0.5%")
    return round(float(found[1]) / 100, 8)


def percents_of(option: str, text: str) -> int:
    """`10` or `10%` as 10. Ends the command with a usage error on anything else."""
    number = text.strip().removesuffix("%").rstrip()
    if not (number.isascii() and number.isdecimal() and len(number) < 4 and int(number) <= 100):
        raise _refused(option, text, "whole percents from 0 to 100, such as 10 or 10%")
    return int(number)


def bytes_of(option: str, text: str) -> int:
    """`10MB` as 10,000,000, `10MiB` as 10 times 1024², bare numbers as bytes. Ends the command likewise."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise _refused(option, text, "a size such as 512KB, 10MB or 64MiB")
    unit: int = (1024 if found[3] else 1000) ** _POWERS[found[2].upper()]
    return int(found[1]) * unit


def _refused(option: str, text: str, expected: str) -> typer.BadParameter:
    return typer.BadParameter(f"{option}: got {text!r}, expected {expected}")


def length_text(length: timedelta) -> str:
    """In the largest unit that is whole: 90s, 5m, 1h, 30d."""
    seconds = int(length.total_seconds())
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def share_text(share: float) -> str:
    """A share from 0 to 1 in percent: 9%, 0.5%, 33.3%."""
    return f"{round(share * 100, 1 if share >= 0.01 else 3):g}%"


def bytes_text(size: int) -> str:
    """In the largest unit that is whole, decimal or binary: 10MB, 64MiB, 1500KB."""
    for base, mark in ((1000, "B"), (1024, "iB")):
        for power, unit in ((3, "G"), (2, "M"), (1, "K")):
            if size >= base**power and size % base**power == 0:
                return f"{size // base**power}{unit}{mark}"
    return f"{size}B"
