"""The trivial model on LitServe. Argument: the port."""

import sys

import litserve


class Sums(litserve.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        return request["instances"]

    def predict(self, x):
        return [sum(row) for row in x]

    def encode_response(self, output):
        return {"predictions": output}


if __name__ == "__main__":
    server = litserve.LitServer(Sums(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
    )
