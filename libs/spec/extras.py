"""The smaller objects at the top level: `runtime`, `unit`, `sinker`, `options`, `queue` and the like."""

from typing import Annotated

from pydantic import Field

from libs.spec.scalars import (
    Cores,
    Flag,
    ListenPort,
    MemoryMib,
    OptionalText,
    Seconds,
    Switch,
    Text,
    choice,
    whole,
)
from libs.spec.section import Section


class Runtime(Section):
    """`runtime`. Times in seconds."""

    enable_crash_block: Flag = False
    termination_grace_period: Seconds | None = None


class Unit(Section):
    """`unit`: how many nodes carry one distributed instance."""

    size: Annotated[int, whole(1, 1024)] = 2


class MaxComputeTable(Section):
    """`sinker.config.maxcompute`."""

    project: Text
    table: Text


class SlsStore(Section):
    """`sinker.config.sls`."""

    project: Text
    logstore: Text


class SinkerConfig(Section):
    """`sinker.config`."""

    maxcompute: MaxComputeTable | None = None
    sls: SlsStore | None = None


class Sinker(Section):
    """`sinker`: where requests and responses are recorded."""

    type: Annotated[str, choice("maxcompute", "sls")]
    config: SinkerConfig = SinkerConfig()


class Confidential(Section):
    """`confidential`: how an encrypted model is opened."""

    trustee_endpoint: OptionalText = None
    decryption_key: OptionalText = None


class Options(Section):
    """`options`."""

    enable_ram_role: Switch = False
    enable_cache: Switch = Field(default=False, alias="enableCache")


class Queue(Section):
    """`queue`: the size of the queue of an asynchronous service. Cores and MiB."""

    cpu: Cores = 1
    memory: MemoryMib = 4096


class FrontEnd(Section):
    """`front_end`: the process in front of a scalable job."""

    image: Text
    port: ListenPort | None = None
    script: Text | None = None


class Meta(Section):
    """`meta`: repeats the type of the service in some documents."""

    type: OptionalText = None
