"""Which of its stored versions a service is to run. Pure."""

from dataclasses import replace

from libs.domain.records import Service, ServiceVersion
from libs.spec import parse_stored
from services.scheduler.facts import facts


def pointed_at(service: Service, version: ServiceVersion) -> Service:
    """The service with this version in force: its token, labels and resource group with it.

    How many instances are wanted stays as it is.
    """
    spec = parse_stored(version.spec_json).spec
    return replace(
        service,
        version=version.number,
        token=spec.token or service.token,
        labels=dict(spec.labels),
        resource_group=facts(spec).resource_group,
        edits=service.edits + 1,
    )
