"""Which addresses one `easel up` listens at, and that no two of them are one."""

from pathlib import Path

import pytest

from cli.ports import refuse_one_port
from cli.up import Wish
from libs.domain.errors import EaselError

HERE = Path("/var/lib/easel")


@pytest.mark.parametrize(
    ("host", "reports"),
    [("127.0.0.1", ""), ("127.0.1.1", ""), ("localhost", ""), ("::1", ""), ("10.0.0.1", "10.0.0.1:8803")],
)
def test_other_hosts_report_only_where_they_can_join(host: str, reports: str) -> None:
    assert Wish(HERE, admin_host=host).reports_listen == reports


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (Wish(HERE, port=8801), "--port and --admin-port are both 8801"),
        (Wish(HERE, admin_host="0.0.0.0", port=8803), "--port is 8803; give it another port: at the admin"),
        (Wish(HERE, admin_host="10.0.0.1", metrics_port=8803), "--metrics-port is 8803; give it another"),
        (Wish(HERE, admin_host="10.0.0.1", admin_port=65534, metrics_port=9), "a port up to 65533"),
    ],
)
def test_two_at_one_port_are_refused(wish: Wish, said: str) -> None:
    with pytest.raises(EaselError, match=said):
        refuse_one_port(wish)


@pytest.mark.parametrize(
    "wish",
    [
        Wish(HERE),
        Wish(HERE, port=8803),
        Wish(HERE, admin_host="10.0.0.1"),
        Wish(HERE, host="10.0.0.2", port=8803, admin_host="10.0.0.1"),
    ],
)
def test_ports_that_do_not_meet_are_fine(wish: Wish) -> None:
    refuse_one_port(wish)
