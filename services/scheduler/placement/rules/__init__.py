"""The placement rules, in the order in which they are asked. A new rule is a file and a line here.

A node is counted in a refusal under the first filter that refuses it. A score's weight is what one of its
points (of 100) counts. The weights make tiers: one point of a tier outweighs everything below it, so the
policies `host` and `zone` come first, then keeping GPU nodes for GPU work, then spreading over nodes, and
then packing, images and room, which are weighed against each other.
"""

from services.scheduler.placement.framework import FilterRule, ScoreRule
from services.scheduler.placement.rules.cpu import Cpu
from services.scheduler.placement.rules.cuda import Cuda
from services.scheduler.placement.rules.disk import Disk
from services.scheduler.placement.rules.gpu_driver import GpuDriver
from services.scheduler.placement.rules.gpus import Gpus
from services.scheduler.placement.rules.group import Group
from services.scheduler.placement.rules.image import ImagePresent
from services.scheduler.placement.rules.instance_type import InstanceType
from services.scheduler.placement.rules.keep_gpus import KeepGpus
from services.scheduler.placement.rules.memory import Memory
from services.scheduler.placement.rules.pack_gpus import PackGpus
from services.scheduler.placement.rules.ports import Ports
from services.scheduler.placement.rules.room import Room
from services.scheduler.placement.rules.spot import SpotNodes
from services.scheduler.placement.rules.spread_nodes import SpreadNodes
from services.scheduler.placement.rules.spread_zones import SpreadZones
from services.scheduler.placement.rules.standing import NodeStanding

FILTERS: tuple[FilterRule, ...] = (
    Group(),
    InstanceType(),
    SpotNodes(),
    NodeStanding(),
    GpuDriver(),
    Cuda(),
    Gpus(),
    Cpu(),
    Memory(),
    Disk(),
    Ports(),
)

SCORES: tuple[ScoreRule, ...] = (
    SpreadZones(weight=500_000),
    SpreadNodes(weight=1_500, host_weight=500_000),
    KeepGpus(weight=2_000),
    PackGpus(weight=10),
    ImagePresent(weight=3),
    Room(weight=1),
)
