"""The gateway: Envoy's management server, fed by the scheduler, and the keeper of a local Envoy."""

import argparse
import sys
from functools import partial

from libs.lifecycle import run_until_asked
from libs.settings import settings_of
from libs.telemetry.logs import configure
from services.gateway.runtime import envoy_dial, run
from services.gateway.settings import Settings
from services.gateway.xds.bootstrap import bootstrap


def main() -> None:
    """Runs one gateway until SIGTERM or SIGINT, or prints what an Envoy elsewhere is started with."""
    options = argparse.ArgumentParser(prog="services.gateway", description=__doc__)
    options.add_argument(
        "--bootstrap",
        metavar="HOST:PORT",
        help="print the bootstrap of an Envoy that dials the gateway there",
    )
    where = options.parse_args().bootstrap
    if where:
        settings = settings_of(Settings, "gateway")
        sys.stdout.write(bootstrap(envoy_dial(settings, where, settings.token(), elsewhere=True)))
        return
    configure()
    run_until_asked(partial(run, settings_of(Settings, "gateway")))


if __name__ == "__main__":
    main()
