"""The echo program, which posts a metric of its own every second."""

import json
import os
import runpy
import threading
import time
import urllib.request
from pathlib import Path


def post() -> None:
    while True:
        body = json.dumps([{"name": "tokens", "tags": {"model": "a"}, "value": 42}]).encode()
        urllib.request.urlopen(urllib.request.Request(os.environ["EASEL_METRICS_URL"], body), timeout=5)
        time.sleep(1)


threading.Thread(target=post, daemon=True).start()
runpy.run_path(str(Path(__file__).with_name("echo.py")))
