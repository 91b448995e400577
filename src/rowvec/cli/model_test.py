"""`rowvec models test`: a listed model, tried out and measured on this machine."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from rowvec.cli.options import json_flag, setting
from rowvec.cli.output import print_json, print_table, stderr, stdout
from rowvec.config import Settings, engine_environment
from rowvec.errors import BackendFailed, from_sqlstate
from rowvec.extras import demand
from rowvec.models.description import tokens_in_words
from rowvec.models.listing import read_listing
from rowvec.models.measurements import remember
from rowvec.models.threads import granted_threads


@click.command()
@click.argument("name")
@setting("models")
@setting("threads")
@setting("cache_dir")
@click.option(
    "--dtypes",
    is_flag=True,
    help="Measure also the types of fewer bits (int8, bfloat16, ...) that a call may ask for.",
)
@json_flag
def test(*, name: str, dtypes: bool, as_json: bool, **given: Any) -> None:
    r"""Embed sample texts with the listed model NAME, and choose the backend that is fastest.

    Prints dimensions, nearest neighbours of the samples, and for each installed backend: the time
    of a short text, texts per second in bulk, memory of the weights, cosine to torch: of the worst
    sample, and the mean over the bulk. The choice is stored in --cache-dir, where a worker finds it
    when it starts. Types of fewer bits are never chosen: a call asks for them by dtype.

    \b
    Example:
      rowvec models test sentence-transformers/all-MiniLM-L6-v2
      rowvec models test my-model --dtypes
      rowvec models test my-model --models models.toml --json
    """
    demand("measuring a model", "torch")
    settings = Settings.build(**given)
    threads = granted_threads(settings.threads)
    path = settings.models
    if path is None and (settings.data / "models.toml").exists():
        path = settings.data / "models.toml"
    spec = read_listing(path).find(name)
    if not as_json:
        stderr().print(f"measuring {spec.name}: three rounds with each backend")
    measured = _measure(path, spec.name, settings.cache_dir / "compiled", threads, dtypes=dtypes)
    own = {name: f for name, f in measured["figures"].items() if name in spec.description.backends}
    if own:
        backend, reason = best(own)
        measured |= {"backend": backend, "reason": reason, "threads": threads}
        remember(settings.cache_dir, spec, threads, measured)
    if as_json:
        print_json(measured)
    else:
        _show(measured)


# OpenVINO's memory grows with every new shape of batch: it has to be worth that.
_WORTH_IT = {"openvino": 1.2}


def best(figures: dict[str, dict[str, Any]]) -> tuple[str, str]:
    """The backend that is fastest over both shapes of work, each counted alike, and why."""

    def speed(name: str) -> float:
        # The geometric mean of the two speeds.
        bulk, short = figures[name]["texts_per_second"], figures[name]["short_ms"]
        return math.sqrt(bulk / short) / _WORTH_IT.get(name, 1)

    chosen = max(figures, key=speed)
    if len(figures) == 1:
        return chosen, "the only one that computes it here"
    return chosen, "the fastest of " + ", ".join(sorted(figures)) + " over short and bulk together"


def _measure(
    path: Path | None, name: str, compiled: Path, threads: int, *, dtypes: bool
) -> dict[str, Any]:
    asked = {
        "dtypes": dtypes,
        "models": None if path is None else str(path.resolve()),
        "name": name,
        "compiled": str(compiled),
        "threads": threads,
    }
    done = subprocess.run(
        [sys.executable, "-m", "rowvec.models.measure"],
        input=json.dumps(asked), stdout=subprocess.PIPE, text=True, check=False,
        env=engine_environment(threads),
    )  # fmt: skip
    if done.returncode != 0:
        raise BackendFailed(f"measuring {name} ended with status {done.returncode}")
    answer = json.loads(done.stdout.splitlines()[-1])
    if "measured" not in answer:
        raise from_sqlstate(answer["sqlstate"], answer["message"], answer["hint"])
    measured: dict[str, object] = answer["measured"]
    return measured


def _show(measured: dict[str, Any]) -> None:
    console = stdout()
    console.print(f"{measured['dimensions']} dimensions, {tokens_in_words(measured['max_tokens'])}")
    for text, nearest, cosine in measured["neighbours"]:
        console.print(f"  {cosine:6.3f}  {text} → {nearest}")
    print_table(
        ["backend", "short, ms", "bulk, texts/s", "MB", "cosine: worst", "mean"],
        [
            [name, f["short_ms"], f["texts_per_second"], round(f["memory_bytes"] / 1e6),
             _six(f["cosine"]), _six(f["bulk_cosine"])]
            for name, f in measured["figures"].items()
        ],
    )  # fmt: skip
    for name, why in measured["failed"].items():
        console.print(f"not {name}: {why}")
    if "backend" in measured:
        console.print(f"chosen: {measured['backend']}, {measured['reason']}")


def _six(cosine: float | None) -> str:
    return "" if cosine is None else f"{cosine:.6f}"
