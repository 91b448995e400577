"""Where models are computed: the processor, or a device that torch sees.

Imports no torch: the listener asks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec

from rowvec.errors import ConfigError
from rowvec.extras import demand

# Without one of the drivers' files (NVIDIA's, AMD's, Windows' under Linux) there is no CUDA, and
# no need to import torch, for seconds, to learn it.
_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")

_LOOK = (
    "import json, torch; print(json.dumps("
    "{'cuda': torch.cuda.device_count(), 'mps': torch.backends.mps.is_available()}))"
)


@dataclass(frozen=True)
class Seen:
    """What torch finds beside the processor: how many CUDA devices, and whether Apple's."""

    cuda: int = 0
    mps: bool = False


def resolve_device(asked: str) -> str:
    """The device to compute on, by torch's name; raises ConfigError as `choose` does.

    What torch sees is found out in a process of its own, which gives torch's memory back.
    """
    if asked == "cpu" or (asked == "auto" and not any(map(os.path.exists, _DRIVERS))):
        return "cpu"
    if find_spec("torch") is None:
        if asked == "auto":
            return "cpu"
        demand(f"the device {asked}", "torch")
    looked = subprocess.run(
        [sys.executable, "-c", _LOOK], stdout=subprocess.PIPE, text=True, check=False
    )
    return choose(asked, Seen(**json.loads(looked.stdout)) if looked.returncode == 0 else Seen())


def choose(asked: str, seen: Seen) -> str:
    """`cpu`, `mps` or `cuda:N`. `auto` is the first CUDA device where there is one, else the CPU.

    Raises ConfigError where the one asked for is not there.
    """
    kind, _, number = asked.partition(":")
    if asked == "cpu" or (asked == "auto" and not seen.cuda):
        return "cpu"
    if kind in ("auto", "cuda") and int(number or 0) < seen.cuda:
        return f"cuda:{int(number or 0)}"
    if kind == "mps" and seen.mps:
        return "mps"
    there = ["cpu", *(f"cuda:{n}" for n in range(seen.cuda)), *(["mps"] if seen.mps else [])]
    raise ConfigError(f"torch sees no device {asked} here", hint=f"it sees {', '.join(there)}")


def is_named(given: object, device: str) -> bool:
    """Whether a caller means this device: `cuda` is whichever CUDA device it is."""
    return given in (device, device.partition(":")[0])


def computed_dtype(device: str, stored: str) -> str:
    """The type that weights stored as `stored` are computed in unless a request says otherwise.

    On CUDA half precision: float16, and bfloat16 for what was trained and stored in it.
    """
    return "float16" if device.startswith("cuda") and stored == "float32" else stored


def batches_at_once(device: str, threads: int) -> int:
    """How many batches may be computed at once, where the model allows it.

    On the CPU one on each thread. On CUDA one is computed while the next one waits there, so that
    the device never idles.
    """
    return 2 if device.startswith("cuda") else threads
