"""What an actor of Ray is told, and GPUs that are not there."""

from __future__ import annotations

import pytest

from rowvec.backfill.crew.crew import Crew
from rowvec.backfill.crew.on_ray import actor_settings, check_room
from rowvec.config import Settings, child_environment
from rowvec.errors import ConfigError

DSN = "host=db.example"


def test_an_actor_with_a_gpu_computes_on_it() -> None:
    settings = Settings.build(dsn=DSN, commit_rows=7)
    assert actor_settings(settings, Crew("ray", 2, 1)) == {
        "dsn": DSN, "commit_rows": 7, "device": "cuda"
    }  # fmt: skip
    assert "device" not in actor_settings(settings, Crew("ray", 2))


def test_a_device_that_was_named_stays() -> None:
    settings = Settings.build(dsn=DSN, device="cpu")
    assert actor_settings(settings, Crew("ray", 2, 1))["device"] == "cpu"


def test_the_worker_of_an_actor_sees_the_gpu_that_ray_gave_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As Ray sets it in the process of an actor.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    settings = Settings.build(**actor_settings(Settings.build(dsn=DSN), Crew("ray", 2, 1)))
    environment = child_environment(settings)
    assert (environment["CUDA_VISIBLE_DEVICES"], environment["ROWVEC_DEVICE"]) == ("1", "cuda")


def test_gpus_that_are_not_there() -> None:
    said: list[str] = []
    cluster = {"CPU": 8.0}
    check_room(cluster, Crew("ray", 2, 1, "10.0.0.1:6379"), said.append)
    assert said == ["a worker is to have 1 GPUs, and the cluster has 0: waiting for more"]
    with pytest.raises(ConfigError, match="the cluster has 0"):
        check_room(cluster, Crew("ray", 2, 1), said.append)


@pytest.mark.parametrize(
    ("cluster", "gpus", "places"),
    [({"CPU": 2.0}, 0, 2), ({"CPU": 8.0, "GPU": 3.0}, 1, 3), ({"CPU": 8.0, "GPU": 1.0}, 0.5, 2)],
)
def test_workers_that_find_no_room(cluster: dict[str, float], gpus: float, places: int) -> None:
    said: list[str] = []
    check_room(cluster, Crew("ray", places, gpus), said.append)
    assert not said
    check_room(cluster, Crew("ray", places + 1, gpus), said.append)
    (sentence,) = said
    assert f"room for {places} of {places + 1} workers" in sentence
