"""How `easel up` says that a setting of one of its services is refused."""

import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from cli.up import Wish, loaded
from libs.domain.errors import EaselError
from services.agent.settings import Settings as AgentSettings
from services.autoscaler.settings import Settings as AutoscalerSettings


def said(settings: type[BaseSettings], **values: object) -> str:
    with pytest.raises(EaselError) as refused:
        loaded(lambda _: settings(**values), Wish(Path()))  # type: ignore[arg-type, return-value]
    return str(refused.value)


def test_of_settings_that_are_refused_together_only_the_sentence_is_said() -> None:
    assert re.match(r"listen: got 'nowhere', expected ", said(AutoscalerSettings, listen="nowhere"))
    ports = {"node": "n1", "first_port": 2, "last_port": 1}
    assert said(AgentSettings, **ports) == "first_port must not be above last_port"


def test_one_value_that_is_refused_names_its_setting() -> None:
    assert said(AutoscalerSettings, look_every="often").startswith("setting look_every: Input should be ")
