"""The trivial model on KServe's Python server. Argument: the port."""

import logging
import sys

from kserve import Model, ModelServer


class Sums(Model):
    def __init__(self) -> None:
        super().__init__("sums")
        self.ready = True

    def predict(self, payload, headers=None):
        return {"predictions": [sum(row) for row in payload["instances"]]}


port = int(sys.argv[1])
logging.disable(logging.INFO)
ModelServer(http_port=port, enable_grpc=False, workers=1, enable_latency_logging=False).start([Sums()])
