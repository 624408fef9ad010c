"""`cloud`: types of rented machines in order of preference, and the private network they join."""

from libs.spec.scalars import Flag, InstanceShare, OptionalText, Price, Text, TextOrTexts
from libs.spec.section import Section

OWN_NODES = "dedicated_resource"


class InstanceType(Section):
    """One type of machine. With `spot_price_limit`, a spot machine up to that price an hour."""

    type: Text
    spot_price_limit: Price | None = None
    capacity: InstanceShare | None = None


class Computing(Section):
    """`cloud.computing`: one type, or several that are tried in order."""

    instance_type: OptionalText = None
    instances: tuple[InstanceType, ...] = ()
    disable_spot_protection_period: Flag = False


class CloudNetworking(Section):
    """`cloud.networking`."""

    vpc_id: OptionalText = None
    vswitch_id: OptionalText = None
    security_group_id: OptionalText = None
    destination_cidrs: TextOrTexts | None = None
    default_route: OptionalText = None


class Cloud(Section):
    """`cloud`."""

    computing: Computing = Computing()
    networking: CloudNetworking = CloudNetworking()
