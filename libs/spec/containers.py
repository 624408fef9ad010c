"""`containers[]`: the image of an instance and what runs in it."""

from typing import Annotated

from pydantic import Field

from libs.spec.probe import Probe, StartupProbe
from libs.spec.scalars import (
    AnyText,
    CommandLine,
    Cores,
    EnvName,
    ListenPort,
    MemoryMib,
    ScalarText,
    Text,
    choice,
)
from libs.spec.section import Section


class EnvVar(Section):
    """One environment variable."""

    name: EnvName
    value: ScalarText = ""


class Prepare(Section):
    """What is installed before the program starts."""

    python_requirements: tuple[Text, ...] = Field(default=(), alias="pythonRequirements")
    python_requirements_path: Text | None = Field(default=None, alias="pythonRequirementsPath")


class ResourceAmounts(Section):
    """Cores and MiB."""

    cpu: Cores | None = None
    memory: MemoryMib | None = None


class ContainerResources(ResourceAmounts):
    """`containers[].resources`: bounds of the container, written directly or under `limits`."""

    limits: ResourceAmounts = ResourceAmounts()
    requests: ResourceAmounts = ResourceAmounts()


class Container(Section):
    """The main container. At most one of `script` (shell text) and `command` (one plain command) is set."""

    image: Text
    # Easel's own: when the image is fetched though the node may have it.
    image_pull_policy: Annotated[str, choice("IfNotPresent", "Always", "Never")] = "IfNotPresent"
    script: Text | None = None
    command: CommandLine | None = None
    args: tuple[AnyText, ...] = ()
    port: ListenPort | None = None
    env: tuple[EnvVar, ...] = ()
    prepare: Prepare = Prepare()
    startup_check: StartupProbe | None = None
    liveness_check: Probe | None = None
    readiness_check: Probe | None = None
    health_check: Probe | None = None
    resources: ContainerResources = ContainerResources()

    @property
    def environment(self) -> dict[str, str]:
        """The variables in their order; of a name given twice the last value counts."""
        return {variable.name: variable.value for variable in self.env}

    @property
    def cpu_limit(self) -> float | None:
        """Cores the container may use, where it names a limit of its own."""
        return self.resources.limits.cpu or self.resources.cpu

    @property
    def memory_limit(self) -> int | None:
        """MiB the container may use, where it names a limit of its own."""
        return self.resources.limits.memory or self.resources.memory
