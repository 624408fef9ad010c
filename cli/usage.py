"""What is wrong with a command line, as one sentence."""

import re
from difflib import get_close_matches
from typing import Any

_BELOW_ZERO = re.compile(r"-\d")
# What was given is not of the kind that is asked for: the validator's word, and ours for what is expected.
_EXPECTED = {
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "bool_parsing": "true or false",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "greater_than": "more than {gt}",
    "less_than": "less than {lt}",
}


def is_usage_error(error: Exception) -> bool:
    """Whether it is about the command line. The library that parses it has no public name for these."""
    return hasattr(error, "format_message") and getattr(error, "exit_code", 0) == 2


def is_help(error: Exception) -> bool:
    """Whether it stands for the help that a command without arguments shows."""
    return type(error).__name__ == "NoArgsIsHelpError"


def sentence(error: Any) -> str:
    """One sentence on it, in Easel's words."""
    command = error.ctx.command_path if getattr(error, "ctx", None) else "easel"
    match type(error).__name__:
        case "MissingParameter":
            return f"`{command}` needs {_name(error.param)}; `{command} -h` explains it"
        case "NoSuchOption" if _BELOW_ZERO.match(error.option_name):
            return f"`{command}` takes no number below 0, such as {error.option_name}"
        case "NoSuchOption":
            near = " or ".join(sorted(error.possibilities or ()))
            hint = f"did you mean {near}?" if near else f"`{command} -h` lists them"
            return f"`{command}` has no option {error.option_name}; {hint}"
        case "BadOptionUsage":
            needs = "takes no value" if "not take" in error.message else "needs a value"
            return f"{error.option_name} {needs}"
        case "BadParameter":
            return _bad_value(error)
        case _:
            return _other(error, command)


def _name(parameter: Any) -> str:
    if parameter is None:
        return "another argument"
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper()).strip("[]")
    return "/".join(sorted(parameter.opts, key=len))


def _bad_value(error: Any) -> str:
    cause = error.__cause__
    if error.param is None or not hasattr(cause, "errors"):
        return str(error.message)
    first = cause.errors()[0]
    expected = _EXPECTED.get(first["type"], "").format_map(first.get("ctx") or {})
    expected = expected or str(first["msg"]).rpartition(" is not ")[2].rstrip(".")
    return f"{_name(error.param)}: got {first['input']!r}, expected {expected}"


def _other(error: Any, command: str) -> str:
    message = str(error.message)
    if message.startswith("No such command"):
        name = message.split("'")[1]
        near = get_close_matches(name, getattr(error.ctx.command, "commands", {}), 1)
        hint = f"did you mean `{command} {near[0]}`?" if near else f"`{command} -h` lists the commands"
        return f"no command {name!r}; {hint}"
    if "unexpected extra argument" in message:
        extra = message.partition("(s) (")[2].removesuffix(")") or "so many arguments"
        return f"`{command}` does not take {extra}; `{command} -h` explains it"
    return message.rstrip(".")
