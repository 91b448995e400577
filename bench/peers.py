"""rowvec beside PL/Python with the model in each backend, the way of extensions such as PostgresML.

The same MiniLM, the same texts, one after the other on the same machine: texts/s in one session,
p50 of a short text, the first call of a new connection, memory of four connections that embedded,
queries/s of four clients at once. PL/Python runs in Debian's Postgres 15:

    apt install postgresql-15 postgresql-plpython3-15

Where that is not there, or its Python is another than this one, the script says so and ends with 0.
Prints a JSON line a figure and a table. Medians of three rounds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path

import psutil
import psycopg
from stage import (
    MODEL,
    MODEL_FOLDER,
    MODEL_PACKAGE,
    instance,
    percentile,
    processes_of,
    report,
    rounded,
    seconds,
    short_texts,
)

from rowvec.embedded.binaries import is_passable, run, system_user
from rowvec.models.measure import documents

DEBIAN = Path("/usr/lib/postgresql/15")
ROUNDS, TEXTS, CALLS, CLIENTS, CLIENT_SECONDS = 3, 600, 50, 4, 10

FUNCTION = """
CREATE EXTENSION plpython3u;
CREATE FUNCTION embed_batch(model text, texts text[]) RETURNS SETOF real[]
LANGUAGE plpython3u AS $$
if "model" not in GD:
    import os, sys
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    sys.path.insert(0, "{packages}")
    from sentence_transformers import SentenceTransformer
    GD["model"] = SentenceTransformer("{folder}", device="cpu")
return GD["model"].encode(texts).tolist()
$$;
CREATE FUNCTION embed(model text, input text) RETURNS real[]
LANGUAGE plpython3u AS $$
plan = SD.setdefault("plan", plpy.prepare(
    "SELECT embed_batch($1, ARRAY[$2]) AS v", ["text", "text"]))
return plpy.execute(plan, [model, input])[0]["v"]
$$;
"""


def main() -> None:
    """Measures both, or says why not."""
    if reason := why_not():
        print(f"skipped: {reason}", file=sys.stderr)
        return
    texts = documents(TEXTS)
    with debian_postgres() as dsn:
        theirs = measure(dsn, "", texts, memory_of)
    with instance(ROWVEC_CACHE_BYTES="0") as dsn:
        worker = [process.pid for process in processes_of(dsn)]
        ours = measure(dsn, "rowvec.", texts, lambda pids: memory_of([*worker, *pids]))
    print(f"{'':34}{'rowvec':>12}{'PL/Python':>12}{'ratio':>9}", file=sys.stderr)
    for name, mine in ours.items():
        other = theirs[name]
        ratio = round(mine / other, 3)
        report("peers", figure=name, rowvec=mine, plpython=other, ratio=ratio)
        print(f"{name.replace('_', ' '):34}{mine:12}{other:12}{ratio:9}", file=sys.stderr)


def why_not() -> str | None:
    """What is missing for PL/Python, None where nothing is."""
    if not (DEBIAN / "lib" / "plpython3.so").exists():
        return "no PL/Python: apt install postgresql-15 postgresql-plpython3-15"
    linked = subprocess.run(
        ["/usr/bin/ldd", DEBIAN / "lib" / "plpython3.so"],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    mine = f"libpython{sys.version_info.major}.{sys.version_info.minor}"
    if mine not in linked:
        return f"PL/Python is of another Python than this one, whose packages it needs ({mine})"
    closed = [p for p in (*packages().parents, packages()) if not is_passable(p)]
    if os.geteuid() == 0 and closed:
        return f"Postgres's user cannot read {closed[0]}, where the packages are"
    return None


def packages() -> Path:
    """Where sentence-transformers is installed."""
    return Path(sysconfig.get_path("purelib"))


@contextmanager
def debian_postgres() -> Iterator[str]:
    """A fresh cluster of Debian's Postgres 15 with the model in PL/Python; gives its DSN."""
    root = Path(tempfile.mkdtemp(prefix="rowvec-peers-"))
    root.chmod(0o777)
    data = root / "data"
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        user = system_user()
        os.chown(data, user.pw_uid, user.pw_gid)
    run(
        DEBIAN / "bin" / "initdb", "-D", str(data), "-U", "postgres", "--auth=trust",
        "--encoding=UTF8", "--locale=C.UTF-8",
    )  # fmt: skip
    options = f"-c listen_addresses='' -c unix_socket_directories={root}"
    start = ("-D", str(data), "-w", "-l", str(data / "log"), "-o", options, "start")
    try:
        run(DEBIAN / "bin" / "pg_ctl", *start)
        dsn = f"postgresql://postgres@/postgres?host={root}"
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(
                FUNCTION.format(packages=packages(), folder=files(MODEL_PACKAGE) / MODEL_FOLDER)
            )
        yield dsn
    finally:
        run(DEBIAN / "bin" / "pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")
        shutil.rmtree(root, ignore_errors=True)


def measure(
    dsn: str, schema: str, texts: list[str], memory: Callable[[list[int]], float]
) -> dict[str, float]:
    """The five figures of one way."""
    one = f"SELECT {schema}embed(%s, %s)"
    many = f"SELECT count(*) FROM {schema}embed_batch(%s, %s)"
    first: list[float] = []
    rates: list[float] = []
    latencies: list[float] = []
    queries: list[float] = []
    with psycopg.connect(dsn, autocommit=True) as warm:
        # The worker loads its model once for all; that is its start, and no connection's.
        warm.execute(one, (MODEL, "the first call of all"))
        for number in range(ROUNDS):
            with psycopg.connect(dsn, autocommit=True) as connection:
                ask = partial(connection.execute, one)
                first.append(seconds(partial(ask, (MODEL, f"first {number}"))))
                short = short_texts(CALLS, f"latency {number} ")
                calls = [seconds(partial(ask, (MODEL, text))) for text in short]
                latencies.append(percentile(calls, 50))
                rates.append(TEXTS / seconds(partial(connection.execute, many, (MODEL, texts))))
            queries.append(clients(dsn, one, f"clients {number} "))
    sessions = [psycopg.connect(dsn, autocommit=True) for _ in range(CLIENTS)]
    for number, session in enumerate(sessions):
        session.execute(one, (MODEL, f"memory {number}"))
    megabytes = memory([session.info.backend_pid for session in sessions])
    for session in sessions:
        session.close()
    return {
        "texts_per_second": rounded(rates, 1),
        "short_text_p50_ms": round(1000 * rounded(latencies, 6), 2),
        "first_call_of_a_connection_ms": round(1000 * rounded(first, 6), 1),
        "memory_of_4_connections_mb": megabytes,
        "queries_per_second_of_4_clients": rounded(queries, 1),
    }


def clients(dsn: str, statement: str, tag: str) -> float:
    """Queries/s of four clients at once, connected and warm beforehand."""
    done: list[int] = []
    ready = threading.Barrier(CLIENTS + 1)

    def ask(number: int) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(statement, (MODEL, f"{tag}{number} warms up"))
            ready.wait()
            end = time.monotonic() + CLIENT_SECONDS
            count = 0
            while time.monotonic() < end:
                connection.execute(statement, (MODEL, f"{tag}{number} {count}"))
                count += 1
            done.append(count)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    ready.wait()
    start = time.monotonic()
    for thread in threads:
        thread.join()
    return sum(done) / (time.monotonic() - start)


def memory_of(pids: list[int]) -> float:
    """Megabytes of their own that these processes have, and their share of what they share."""
    return round(sum(psutil.Process(pid).memory_full_info().pss for pid in pids) / 1e6, 1)


if __name__ == "__main__":
    main()
