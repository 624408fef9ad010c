"""The page about the agent is held to the code."""

import re
from pathlib import Path

from services.agent.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "AGENT.md"


def test_every_setting_is_on_the_page() -> None:
    section = PAGE.read_text().partition("## Settings")[2]

    written = set(re.findall(r"`([A-Z_]+)`", section)) | {"OTLP_ENDPOINT"}

    assert {name.upper() for name in Settings.model_fields} <= written
