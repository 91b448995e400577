"""A Ray cluster of several nodes on this machine, told by lines on stdin: `kill`, or the end.

A process of its own, since Ray's threads and warnings stay for the life of one.
"""

from __future__ import annotations

import argparse
import sys

from ray.cluster_utils import Cluster

_MEMORY = {"object_store_memory": 80 << 20}


def main() -> None:
    """Prints the address, then obeys; `kill` ends a node that is not the head, with no grace."""
    parser = argparse.ArgumentParser()
    parser.add_argument("nodes", type=int)
    parser.add_argument("--cpus", type=int, default=1, help="of a node")
    parser.add_argument("--gpus", type=int, default=0, help="of a node, as Ray is to believe")
    given = parser.parse_args()
    node = {"num_cpus": given.cpus, "num_gpus": given.gpus, **_MEMORY}
    head = {"num_cpus": 0, "include_dashboard": False, **_MEMORY}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = [cluster.add_node(**node) for _ in range(given.nodes)]
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
