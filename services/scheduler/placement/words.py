"""How amounts read in a sentence."""


def cpus(milli: int) -> str:
    """`4 CPUs`, `1 CPU`, `0.5 CPUs`."""
    return f"{number(milli)} CPU{'' if milli == 1000 else 's'}"


def number(milli: int) -> str:
    return f"{milli / 1000:.3f}".rstrip("0").rstrip(".")


def size(mib: int) -> str:
    """`512 MiB` below one GiB, else `1.5 GiB`."""
    if abs(mib) < 1024:
        return f"{mib} MiB"
    return f"{mib / 1024:.1f}".removesuffix(".0") + " GiB"


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def verb(count: int, singular: str, plural: str) -> str:
    """`1 is`, `2 are`: the count with the verb that agrees."""
    return f"{count} {singular if count == 1 else plural}"
