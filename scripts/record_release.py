"""Records what a release promises to later ones; to be run on the commit that becomes its tag.

    scripts/record_release.py 0.1.0 [FOLDER]

Writes two things into the checkout, or into FOLDER, another one:

    migrations/frozen.txt                  the hash of every revision: from now on none may change
    tests/migration/released/0.1.0.sql     the dump of an empty database that this release migrated:
                                           tests/migration/test_upgrade.py upgrades it
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rowvec.db.schema import migrate
from rowvec.embedded.postgres import PostgresCluster

ROOT = Path(__file__).parents[1]


def freeze(migrations: Path) -> None:
    """Writes the hashes as `sha256sum` prints them."""
    lines = [
        f"{hashlib.sha256(revision.read_bytes()).hexdigest()}  {revision.name}\n"
        for revision in sorted((migrations / "versions").glob("[0-9]*.py"))
    ]
    (migrations / "frozen.txt").write_text("".join(lines))


def dump() -> bytes:
    """A migrated database as a script for psql."""
    with tempfile.TemporaryDirectory(prefix="rowvec-") as folder:
        # Postgres runs as a user of its own where we are root.
        Path(folder).chmod(0o711)
        cluster = PostgresCluster(Path(folder) / "cluster")
        cluster.create()
        cluster.start()
        try:
            migrate(cluster.dsn())
            return subprocess.run(
                [cluster.binary("pg_dump"), "--dbname", cluster.dsn()],
                check=True, capture_output=True,
            ).stdout  # fmt: skip
        finally:
            cluster.stop(immediate=True)


def main(version: str, root: Path) -> None:
    """Records one release."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        sys.exit(f"{version} is not the number of a release, such as 0.1.0")
    released = root / "tests" / "migration" / "released"
    released.mkdir(parents=True, exist_ok=True)
    (released / f"{version}.sql").write_bytes(dump())
    freeze(root / "migrations")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT)
