"""The dashboards of Easel: `make dashboards` writes them to deploy/grafana/dashboards."""

from deploy.grafana.source.autoscaler import AUTOSCALER
from deploy.grafana.source.board import Board
from deploy.grafana.source.control_plane import CONTROL_PLANE
from deploy.grafana.source.fleet import FLEET
from deploy.grafana.source.gateway import GATEWAY
from deploy.grafana.source.gpu import GPU
from deploy.grafana.source.instance import INSTANCE
from deploy.grafana.source.service import SERVICE

BOARDS: tuple[Board, ...] = (FLEET, SERVICE, INSTANCE, GPU, GATEWAY, AUTOSCALER, CONTROL_PLANE)
