"""What a malformed service.json is answered with."""

import pytest

from libs.domain.errors import InvalidSpec
from libs.spec import parse_service
from tests.unit.spec.malformed import MALFORMED, Malformed


@pytest.mark.parametrize("case", MALFORMED, ids=[case.id for case in MALFORMED])
def test_a_malformed_document_is_refused_in_one_sentence_that_names_the_path(case: Malformed) -> None:
    with pytest.raises(InvalidSpec) as refusal:
        parse_service(case.document)

    sentence = str(refusal.value)
    assert refusal.value.path == case.path
    assert sentence.startswith(f"{case.path}: got ")
    assert ", expected " in sentence
    assert "\n" not in sentence
    assert len(sentence) < 400


def test_the_table_is_long_and_its_names_are_unique() -> None:
    names = [case.id for case in MALFORMED]

    assert len(names) >= 50
    assert len(set(names)) == len(names)


def test_a_refusal_speaks_the_words_of_the_key_and_not_of_the_validator() -> None:
    for case in MALFORMED:
        with pytest.raises(InvalidSpec) as refusal:
            parse_service(case.document)

        assert not any(word in str(refusal.value) for word in ("Input should", "pydantic", "dict", "tuple"))


@pytest.mark.parametrize(
    "document",
    [
        {"dockerAuth": "user:hunter2"},
        {"token": "hunter2 hunter2"},
        {"storage": [{"mount_path": "/code", "git": {"repo": "https://a/b", "password": ["hunter2"]}}]},
        {"storage": [{"mount_path": "/c", "git": {"repo": "https://a/b", "password": "hunter2"}, "oss": {}}]},
        {"confidential": {"decryption_key": ["hunter2"]}},
    ],
    ids=["registry login", "token", "git password", "mount with a password", "key"],
)
def test_a_refusal_never_shows_a_secret(document: dict[str, object]) -> None:
    base = {"metadata": {"name": "secretive"}, "containers": [{"image": "app:1"}]}

    with pytest.raises(InvalidSpec) as refusal:
        parse_service({**base, **document})

    assert "hunter2" not in str(refusal.value)
