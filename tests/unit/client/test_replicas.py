"""Which replica a connection tries first."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict

from rowvec.client.replicas import in_turn

THREE = "host=a,b,c hostaddr=1.1.1.1,2.2.2.2,3.3.3.3 port=5466 load_balance_hosts=random"


def test_each_connection_begins_with_the_next_and_keeps_the_others() -> None:
    hosts = [conninfo_to_dict(in_turn(THREE, turn))["host"] for turn in range(4)]
    assert hosts == ["a,b,c", "b,c,a", "c,a,b", "a,b,c"]


def test_what_belongs_to_a_host_goes_with_it() -> None:
    found = conninfo_to_dict(in_turn(THREE.replace("5466", "1,2,3"), 1))
    assert found["hostaddr"] == "2.2.2.2,3.3.3.3,1.1.1.1"
    assert found["port"] == "2,3,1"
    assert found["load_balance_hosts"] == "disable"
    assert conninfo_to_dict(in_turn(THREE, 1))["port"] == "5466"


@pytest.mark.parametrize(
    "conninfo",
    ["host=a port=5466", "host=a,b load_balance_hosts=disable", "host=a,b"],
    ids=["one", "in order", "in libpq's order"],
)
def test_an_order_that_was_asked_for_stays(conninfo: str) -> None:
    assert in_turn(conninfo, 1) == conninfo
