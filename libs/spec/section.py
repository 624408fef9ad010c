"""What all objects of service.json have in common: they are frozen, and keep the keys they do not know."""

from pydantic import BaseModel, ConfigDict

from libs.spec.quantity import CountOrPercent, Quantity


class Section(BaseModel):
    """An object of service.json. What was not written has its default; unknown keys are kept."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    def to_json(self) -> dict[str, object]:
        """The object as plain JSON under the names of service.json, without what was not written."""
        fields, extra = type(self).model_fields, self.__pydantic_extra__ or {}
        written = {
            info.alias or name: _json(getattr(self, name))
            for name, info in fields.items()
            if name in self.model_fields_set and getattr(self, name) is not None
        }
        return {**written, **{key: _json(kept) for key, kept in extra.items()}}


def _json(value: object) -> object:
    match value:
        case Section():
            return value.to_json()
        case dict():
            return {key: _json(member) for key, member in value.items()}
        case tuple() | list():
            return [_json(item) for item in value]
        case CountOrPercent(number=number, percent=False):
            return number
        case Quantity() | CountOrPercent():
            return str(value)
    return value
