"""Serves the digits model over HTTP: {"instances": [[64 numbers], ...]} in, {"predictions": [...]} out."""

import json
import os
import signal
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType

import numpy as np
import onnxruntime

PIXELS = 64
MOST_BYTES = 1 << 20


class Model:
    """The ONNX model of one file. Safe to call from several threads."""

    def __init__(self, path: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def predict(self, instances: object) -> list[int]:
        """The digit on each image. Raises ValueError for anything but rows of 64 numbers."""
        try:
            images = np.asarray(instances, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise ValueError(f"instances: expected rows of {PIXELS} numbers") from error
        if images.ndim != 2 or images.shape[1] != PIXELS:
            raise ValueError(f"instances: got shape {list(images.shape)}, expected [n, {PIXELS}]")
        return [int(digit) for digit in self._session.run(None, {self._input: images})[0]]


class Handler(BaseHTTPRequestHandler):
    """GET says the model is there; POST predicts."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    model: Model

    def do_GET(self) -> None:
        self._answer(HTTPStatus.OK, {"model": "digits", "ready": True})

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        if size > MOST_BYTES:
            self.close_connection = True
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": f"at most {MOST_BYTES} bytes"})
            return
        try:
            body = json.loads(self.rfile.read(size))
            if not isinstance(body, dict) or "instances" not in body:
                raise ValueError('expected {"instances": [[64 numbers], ...]}')
            predictions = self.model.predict(body["instances"])
        except ValueError as error:
            self._answer(HTTPStatus.BAD_REQUEST, {"error": str(error)})
            return
        self._answer(HTTPStatus.OK, {"predictions": predictions})

    def _answer(self, status: HTTPStatus, content: dict[str, object]) -> None:
        body = json.dumps(content).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Says nothing of requests that went well."""
        if isinstance(code, int) and code >= 400:
            super().log_request(code, size)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    Handler.model = Model(os.environ.get("MODEL", "/mnt/model/digits.onnx"))
    server = Server(("0.0.0.0", int(os.environ.get("PORT", "8000"))), Handler)

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, leave)
    print(f"digits is served on port {server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
