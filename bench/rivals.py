"""Other proxies with the same work: a token, two backends by weight, a copy of 1 % of the requests, limits
that are never reached, a line of JSON a request. What one of them cannot do its caller says."""

import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.gateway_rig import HCM, ROUTER, plain_envoy

_START_WITHIN_S = 10.0
_TYPES = "type.googleapis.com/envoy"


@contextmanager
def nginx(port: int, backend: int, token: str, *, features: bool) -> Iterator[int]:
    """nginx with one worker; yields the worker's process id."""
    with tempfile.TemporaryDirectory(prefix="easel-bench-") as home:
        config = _nginx_with_features if features else _nginx_plain
        file = Path(home) / "nginx.conf"
        file.write_text(config(Path(home), port, backend, token))
        with _running(["nginx", "-p", home, "-c", str(file), "-g", "daemon off;"], port) as pid:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            yield int(children[0])


@contextmanager
def haproxy(port: int, backend: int, token: str, *, features: bool) -> Iterator[int]:
    """HAProxy with one thread, not as a daemon; yields its process id."""
    with tempfile.TemporaryDirectory(prefix="easel-bench-") as home:
        file = Path(home) / "haproxy.cfg"
        file.write_text((_haproxy_with_features if features else _haproxy_plain)(port, backend, token))
        with _running(["haproxy", "-db", "-q", "-f", str(file)], port) as pid:
            yield pid


@contextmanager
def naive_envoy(port: int, backend: int, token: str) -> Iterator[int]:
    """Envoy as one would write it down, everything on one route; yields its process id."""
    with (
        tempfile.TemporaryDirectory(prefix="easel-bench-") as home,
        plain_envoy(_naive(port, backend, token, f"{home}/access.json")) as pid,
    ):
        yield pid


def missing() -> list[str]:
    """The programs that are not here."""
    return [name for name in ("nginx", "haproxy") if shutil.which(name) is None]


@contextmanager
def _running(command: list[str], port: int) -> Iterator[int]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        ends = time.monotonic() + _START_WITHIN_S
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > ends:
                raise SystemExit(f"{command[0]} did not start")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _nginx_frame(home: Path, http: str) -> str:
    return f"""
worker_processes 1;
pid {home}/nginx.pid;
error_log {home}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  keepalive_requests 1000000;
  {http}
}}
"""


def _nginx_plain(home: Path, port: int, backend: int, token: str) -> str:
    return _nginx_frame(
        home,
        f"""
  access_log off;
  upstream backend {{ server 127.0.0.1:{backend}; keepalive 64; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}""",
    )


def _nginx_with_features(home: Path, port: int, backend: int, token: str) -> str:
    return _nginx_frame(
        home,
        f"""
  log_format line escape=json '{{"time":"$time_iso8601","method":"$request_method","path":"$uri",'
    '"status":$status,"seconds":$request_time,"sent":$bytes_sent,"upstream":"$upstream_addr"}}';
  access_log {home}/access.json line buffer=64k;
  limit_req_zone $server_name zone=rate:1m rate=1000000r/s;
  limit_conn_zone $server_name zone=open:1m;
  split_clients "$request_id" $chosen {{ 90% stable; * canary; }}
  split_clients "$request_id" $copied {{ 1% copy; * ""; }}
  upstream stable {{ server 127.0.0.1:{backend}; keepalive 64; keepalive_requests 1000000; }}
  upstream canary {{ server 127.0.0.1:{backend}; keepalive 64; keepalive_requests 1000000; }}
  upstream copy {{ server 127.0.0.1:{backend}; keepalive 64; keepalive_requests 1000000; }}
  map $http_authorization $known {{ default 0; "Bearer {token}" 1; "{token}" 1; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      if ($known = 0) {{ return 401; }}
      limit_req zone=rate burst=100000 nodelay;
      limit_conn open 60000;
      mirror /copy;
      proxy_read_timeout 5s;
      proxy_pass http://$chosen; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
    location = /copy {{
      internal;
      if ($copied = "") {{ return 204; }}
      proxy_pass http://copy; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
  }}""",
    )


_HAPROXY_DEFAULTS = """
global
  maxconn 4000
  nbthread 1
  {log}
defaults
  mode http
  option http-keep-alive
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 5s
"""


def _haproxy_plain(port: int, backend: int, token: str) -> str:
    return (
        _HAPROXY_DEFAULTS.format(log="")
        + f"""
frontend in
  bind 127.0.0.1:{port}
  default_backend all
backend all
  server one 127.0.0.1:{backend}
"""
    )


def _haproxy_with_features(port: int, backend: int, token: str) -> str:
    line = '\'{"status":%ST,"ms":%Ta,"sent":%B,"upstream":"%s","path":"%HP"}\''
    return (
        # Without a syslog, the lines are made and sent to nobody.
        _HAPROXY_DEFAULTS.format(log="log 127.0.0.1:9 local0")
        + f"""
frontend in
  bind 127.0.0.1:{port}
  log global
  log-format {line}
  stick-table type integer size 1 store http_req_rate(1s),conn_cur
  http-request track-sc0 int(1)
  http-request deny deny_status 401 unless {{ req.hdr(authorization) "Bearer {token}" "{token}" }}
  http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 1000000 }}
  default_backend all
backend all
  balance roundrobin
  server stable 127.0.0.1:{backend} weight 90 maxconn 3000
  server canary 127.0.0.1:{backend} weight 10 maxconn 3000
"""
    )


def _naive(port: int, backend: int, token: str, log: str) -> dict[str, Any]:
    limit = {
        "stat_prefix": "limit",
        "token_bucket": {"max_tokens": 1_000_000, "tokens_per_fill": 1_000_000, "fill_interval": "1s"},
        "filter_enabled": {"default_value": {"numerator": 100}},
        "filter_enforced": {"default_value": {"numerator": 100}},
    }
    route = {
        "match": {
            "prefix": "/",
            "headers": [{"name": "authorization", "string_match": {"exact": f"Bearer {token}"}}],
        },
        "route": {
            "timeout": "5s",
            "weighted_clusters": {
                "clusters": [{"name": "stable", "weight": 90}, {"name": "canary", "weight": 10}]
            },
            "request_mirror_policies": [
                {"cluster": "copy", "runtime_fraction": {"default_value": {"numerator": 1}}}
            ],
        },
    }
    line = {"status": "%RESPONSE_CODE%", "ms": "%DURATION%", "path": "%REQ(:PATH)%", "to": "%UPSTREAM_HOST%"}
    manager = {
        "@type": HCM,
        "stat_prefix": "naive",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.local_ratelimit",
                "typed_config": {
                    "@type": f"{_TYPES}.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
                    **limit,
                },
            },
            {"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}},
        ],
        "access_log": [
            {
                "name": "envoy.access_loggers.file",
                "typed_config": {
                    "@type": f"{_TYPES}.extensions.access_loggers.file.v3.FileAccessLog",
                    "path": log,
                    "log_format": {"json_format": line},
                },
            }
        ],
        "tracing": {
            "random_sampling": {"value": 1.0},
            "provider": {
                "name": "envoy.tracers.opentelemetry",
                "typed_config": {
                    "@type": f"{_TYPES}.config.trace.v3.OpenTelemetryConfig",
                    "service_name": "naive",
                    "grpc_service": {"envoy_grpc": {"cluster_name": "copy"}},
                },
            },
        },
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {
        "static_resources": {
            "listeners": [{"name": "naive", "address": address, "filter_chains": [chain]}],
            "clusters": [_cluster(name, backend) for name in ("stable", "canary", "copy")],
        }
    }


def _cluster(name: str, backend: int) -> dict[str, Any]:
    place = {"socket_address": {"address": "127.0.0.1", "port_value": backend}}
    return {
        "name": name,
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": place}}]}],
        },
    }
