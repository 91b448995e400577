"""Several workers behind one address: which of them a connection tries first."""

from __future__ import annotations

from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

# The lists of libpq's connection string that go together, host by host.
_LISTS = ("host", "hostaddr", "port")


def in_turn(conninfo: str, turn: int) -> str:
    """How the connection of this number reaches the replicas: each begins with the next one.

    libpq's `load_balance_hosts=random` draws for each connection separately, and of the two that a
    job may have, both would often go to the same worker. Where one does not answer the others are
    tried as ever. What names one host, or wants them tried in its order, stays as it is.
    """
    options: dict[str, Any] = conninfo_to_dict(conninfo)
    if options.get("load_balance_hosts") != "random":
        return conninfo
    for name in _LISTS:
        values = str(options.get(name, "")).split(",")
        first = turn % len(values)
        if len(values) > 1:
            options[name] = ",".join(values[first:] + values[:first])
    options["load_balance_hosts"] = "disable"
    return make_conninfo(**options)
