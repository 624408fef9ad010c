"""What is told of a pull."""

from typing import Any

import pytest

from libs.domain.causes import Cause
from services.agent.runtime.docker_pull import PullProgress, refusal_of


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("manifest for far/away:2 not found: manifest unknown", Cause.IMAGE_NOT_FOUND),
        (
            "pull access denied for nothing, repository does not exist or may require 'docker login'",
            Cause.IMAGE_NOT_FOUND,
        ),
        ("Head https://far/v2/away/manifests/1: no basic auth credentials", Cause.IMAGE_ACCESS_DENIED),
        ("unauthorized: authentication required", Cause.IMAGE_ACCESS_DENIED),
        ("Get https://far/v2/: dial tcp: lookup far: no such host", Cause.REGISTRY_UNREACHABLE),
        ("Get https://far/v2/: x509: certificate signed by unknown authority", Cause.REGISTRY_UNREACHABLE),
        ("net/http: TLS handshake timeout", Cause.REGISTRY_UNREACHABLE),
        ("unexpected EOF", Cause.REGISTRY_UNREACHABLE),
        ("write /var/lib/docker/tmp/x: no space left on device", Cause.NO_SPACE),
        ("toomanyrequests: You have reached your pull rate limit", Cause.PULL_FAILED),
    ],
)
def test_the_words_of_a_registry_have_a_cause(said: str, cause: Cause) -> None:
    refused = refusal_of("far/away:2", said)

    assert refused.cause is cause
    assert str(refused) == f"far/away:2 could not be pulled: {said}"


def test_progress_is_the_sum_over_the_layers() -> None:
    progress = PullProgress("x")

    for layer, current in (("a", 10), ("b", 5), ("a", 60)):
        progress.take(line("Downloading", layer, current, 100))

    assert (progress.what, progress.done, progress.total) == ("image x", 65, 200)


def test_a_layer_that_has_come_counts_whole() -> None:
    progress = PullProgress("x")
    progress.take(line("Downloading", "a", 10, 100))

    progress.take({"status": "Download complete", "id": "a", "progressDetail": {}})

    assert (progress.done, progress.total) == (100, 100)


def test_what_is_unpacked_counts_once_everything_has_come() -> None:
    progress = PullProgress("x")
    progress.take(line("Downloading", "a", 100, 100))
    progress.take(line("Downloading", "b", 40, 100))
    progress.take(line("Extracting", "a", 30, 100))
    before = progress.what, progress.done

    progress.take({"status": "Download complete", "id": "b"})

    assert before == ("image x", 140)
    assert (progress.what, progress.done, progress.total) == ("unpacked image x", 30, 200)


def line(status: str, layer: str, current: int, total: int) -> dict[str, Any]:
    return {"status": status, "id": layer, "progressDetail": {"current": current, "total": total}}
