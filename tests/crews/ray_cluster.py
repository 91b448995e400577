"""A Ray cluster of two nodes on this machine, told by lines on stdin: `kill`, or the end.

A process of its own, since Ray's threads and warnings stay for the life of one.
"""

from __future__ import annotations

import sys

from ray.cluster_utils import Cluster

_MEMORY = 80 << 20


def main() -> None:
    """Prints the address, then obeys; `kill` ends the smaller node, with no grace."""
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": _MEMORY}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    # Ray believes in the GPUs, and numbers them.
    cluster.add_node(num_cpus=2, num_gpus=2, object_store_memory=_MEMORY)
    node = cluster.add_node(num_cpus=1, object_store_memory=_MEMORY)
    cluster.wait_for_nodes()
    print(f"address {cluster.address}", flush=True)
    for line in sys.stdin:
        if line.strip() == "kill":
            cluster.remove_node(node, allow_graceful=False)
            node = cluster.add_node(num_cpus=1, object_store_memory=_MEMORY)
            print("killed", flush=True)
    cluster.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
