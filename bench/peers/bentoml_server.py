"""The trivial model on BentoML; started with `bentoml serve bentoml_server:Sums`."""

import bentoml


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Sums:
    @bentoml.api
    def predict(self, instances: list[list[float]]) -> dict[str, list[float]]:
        return {"predictions": [sum(row) for row in instances]}
