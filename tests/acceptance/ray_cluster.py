"""A Ray cluster of several nodes on this machine, told by lines on stdin: `kill`, or the end.

A process of its own, since Ray's threads and warnings stay for the life of one.
"""

from __future__ import annotations

import sys

from ray.cluster_utils import Cluster

_NODE = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}


def main() -> None:
    """Prints the address, then obeys; `kill` ends a node that is not the head, with no grace."""
    cluster = Cluster(initialize_head=True, head_node_args={**_NODE, "num_cpus": 0})
    del (node := dict(_NODE))["include_dashboard"]
    nodes = [cluster.add_node(**node) for _ in range(int(sys.argv[1]))]
    cluster.wait_for_nodes()
    print(f"address {cluster.address}", flush=True)
    for line in sys.stdin:
        if line.strip() == "kill":
            cluster.remove_node(nodes.pop(), allow_graceful=False)
            cluster.add_node(**node)
            print("killed", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
