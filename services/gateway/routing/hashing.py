"""XXH64, the hash by which Envoy turns the value of a header into a number; here for explanations only."""

_P1, _P2, _P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P4, _P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
_ALL = 0xFFFFFFFFFFFFFFFF


def xxh64(content: bytes, seed: int = 0) -> int:
    """The hash as an unsigned number of 64 bits."""
    at, end = 0, len(content)
    if end >= 32:
        lanes = [(seed + _P1 + _P2) & _ALL, (seed + _P2) & _ALL, seed, (seed - _P1) & _ALL]
        while at <= end - 32:
            for lane in range(4):
                lanes[lane] = _round(lanes[lane], _number(content, at, 8))
                at += 8
        turned = zip(lanes, (1, 7, 12, 18), strict=True)
        total = sum(_rotated(value, by) for value, by in turned) & _ALL
        for value in lanes:
            total = ((total ^ _round(0, value)) * _P1 + _P4) & _ALL
    else:
        total = (seed + _P5) & _ALL
    return _mixed(_rest(content, at, (total + end) & _ALL))


def _rest(content: bytes, at: int, total: int) -> int:
    """What is left of the content after its blocks of 32 bytes."""
    while at + 8 <= len(content):
        total = (_rotated(total ^ _round(0, _number(content, at, 8)), 27) * _P1 + _P4) & _ALL
        at += 8
    if at + 4 <= len(content):
        total = (_rotated(total ^ (_number(content, at, 4) * _P1 & _ALL), 23) * _P2 + _P3) & _ALL
        at += 4
    for byte in content[at:]:
        total = (_rotated(total ^ (byte * _P5 & _ALL), 11) * _P1) & _ALL
    return total


def _mixed(total: int) -> int:
    total = ((total ^ total >> 33) * _P2) & _ALL
    total = ((total ^ total >> 29) * _P3) & _ALL
    return total ^ total >> 32


def _round(value: int, number: int) -> int:
    return (_rotated((value + number * _P2) & _ALL, 31) * _P1) & _ALL


def _rotated(value: int, by: int) -> int:
    return (value << by | value >> (64 - by)) & _ALL


def _number(content: bytes, at: int, size: int) -> int:
    return int.from_bytes(content[at : at + size], "little")
