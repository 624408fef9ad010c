"""Settings of a part, from the environment; what is refused of them is one sentence."""

from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

S = TypeVar("S", bound=BaseSettings)


def settings_of(kind: type[S], part: str) -> S:
    """The settings of a process. Ends it with a sentence that names the part where they are refused."""
    try:
        return kind()
    except ValidationError as refused:
        raise SystemExit(f"easel {part}: {refusal(refused, kind)}") from None


def refusal(refused: ValidationError, kind: type[BaseSettings] | None = None) -> str:
    """The first problem as a sentence: with the variable of the setting, or its name where the kind is not
    known. What several settings say together names them by itself."""
    problem = refused.errors(include_input=False)[0]
    raised = problem["type"] == "value_error"
    sentence = str(problem["ctx"]["error"]) if raised else problem["msg"]
    name = ".".join(map(str, problem["loc"]))
    if kind is not None and name:
        return f"{kind.model_config.get('env_prefix', '')}{name.upper()}: {sentence}"
    return f"setting {name}: {sentence}" if name else sentence
