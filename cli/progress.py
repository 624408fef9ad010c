"""How far a transfer is, in words and as a bar. Pure."""

from easel_sdk.types import Instance, Progress

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_WIDTH = 20


def progress_text(progress: Progress) -> str:
    """Such as "fetching oss://models/llm: 1.2 of 4.0 GiB, 120 MiB/s, 24 s left"."""
    done, total, rate = progress.done_bytes, progress.total_bytes, progress.bytes_per_second
    if total:
        step = _step(total)
        far = f"{_number(done, step)} of {_number(total, step)} {_UNITS[step]}"
    else:
        far = size_text(done)
    parts = [far]
    if rate:
        parts.append(f"{size_text(rate)}/s")
    if rate and total > done:
        parts.append(f"{_time((total - done) / rate)} left")
    return f"fetching {progress.what}: {', '.join(parts)}"


def size_text(size: int) -> str:
    """In the unit in which it is at least 1: 812 B, 1.2 GiB."""
    step = _step(size)
    return f"{_number(size, step)} {_UNITS[step]}"


def bar(done: int, total: int) -> str:
    """The share as a bar with its percentage."""
    share = min(done / total, 1.0) if total else 0.0
    full = int(share * _WIDTH)
    return f"{'█' * full}{'░' * (_WIDTH - full)} {int(share * 100)} %"


def leaving_text(instance: Instance) -> str:
    """Why an instance leaves, and what it still waits for."""
    open_now = f"{instance.connections} open connection{'s' if instance.connections != 1 else ''}"
    return f"{instance.why} ({open_now})" if instance.connections else instance.why


def milestone(progress: Progress) -> str:
    """Changes with every tenth of the whole, or every doubling of what came where the whole is unknown."""
    if progress.total_bytes:
        return f"{progress.what} {10 * progress.done_bytes // progress.total_bytes}"
    return f"{progress.what} {max(progress.done_bytes >> 26, 0).bit_length()}"


def _step(size: int) -> int:
    step = 0
    while size >= 1024 and step < len(_UNITS) - 1:
        size //= 1024
        step += 1
    return step


def _number(size: int, step: int) -> str:
    value = size / 1024**step
    return f"{value:.0f}" if step == 0 or value >= 100 else f"{value:.1f}"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
