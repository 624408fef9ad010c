"""Log lines: a constant message plus fields, for people on a terminal and as JSON everywhere else."""

import logging
import sys
from datetime import UTC, datetime
from json import dumps
from typing import TextIO

from libs.telemetry.traces import inject

# What every record has; anything else on one came in through `extra`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_CHATTY = ("alembic", "asyncio", "docker", "grpc", "httpcore", "httpx", "sqlalchemy", "urllib3")


def configure(level: str = "INFO", json: bool | None = None, stream: TextIO | None = None) -> None:
    """Sends all log records of this process to `stream` (standard error).

    `json=None` writes text when the stream is a terminal and JSON lines when it is not. Safe to call
    again: the newest call decides. Raises ValueError for a level that does not exist.
    """
    target = stream if stream is not None else sys.stderr
    handler = logging.StreamHandler(target)
    as_json = not target.isatty() if json is None else json
    handler.setFormatter(JsonLines() if as_json else TextLines())
    root = logging.getLogger()
    root.setLevel(level.upper())
    for old in [each for each in root.handlers if getattr(each, "_easel", False)]:
        root.removeHandler(old)
    handler._easel = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """What was passed as `extra`, and the trace the record belongs to when there is one."""
    fields = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    traceparent = inject()
    if traceparent:
        fields["trace"] = traceparent.split("-")[1]
    return fields


class JsonLines(logging.Formatter):
    """One JSON object a line: at, level, logger, message, the extra fields, and the error if any."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in fields_of(record).items() if key not in line}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return dumps(line, default=str, ensure_ascii=False)


class TextLines(logging.Formatter):
    """One line for people: time, level, logger, message, then key=value."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        extra = "  ".join(f"{key}={_shown(value)}" for key, value in fields_of(record).items())
        line = f"{at} {record.levelname:<7} {record.name}: {record.getMessage()}"
        line = f"{line}  {extra}" if extra else line
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _shown(value: object) -> str:
    text = str(value)
    return dumps(text, ensure_ascii=False) if not text or any(each.isspace() for each in text) else text
