"""The trivial model on Ray Serve with its default proxy. Arguments: the port, a directory for its files."""

import sys
import time

import ray
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=100)
class Sums:
    async def __call__(self, request: Request) -> dict[str, list[float]]:
        instances = (await request.json())["instances"]
        return {"predictions": [sum(row) for row in instances]}


ray.init(
    num_cpus=2,
    include_dashboard=False,
    object_store_memory=100 * 1024 * 1024,
    _node_ip_address="127.0.0.1",
    _temp_dir=sys.argv[2],
)
quiet = {"enable_access_log": False}
serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])}, logging_config=quiet)
serve.run(Sums.options(logging_config=quiet).bind(), name="sums", route_prefix="/")
while True:
    time.sleep(3600)
