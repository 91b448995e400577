"""Fetching a model from the hub, at one commit, for a worker that never goes online."""

from __future__ import annotations

import re
from pathlib import Path

from rowvec.errors import ConfigError, ModelError
from rowvec.models.folder import check_folder
from rowvec.models.origin import UNWANTED, WANTED

_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?")


def pull(repository: str, revision: str) -> Path:
    """The folder with the files of that commit, fetched where they are not on this machine yet.

    Raises ConfigError for what is no repository or commit, ModelError where the hub does not
    answer, or answers with what may not be loaded.
    """
    if not _REPOSITORY.fullmatch(repository) or ".." in repository:
        raise ConfigError(f"{repository[:100]!r} is no repository of the hub, as in owner/name")
    if not _COMMIT.fullmatch(revision):
        raise ConfigError(
            "revision must be the 40 hex digits of a commit",
            hint="a branch or a tag may change under the same name",
        )
    try:
        from huggingface_hub import snapshot_download  # noqa: PLC0415  # of the extra `worker`
        from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415
        from huggingface_hub.utils import logging as hub_logging  # noqa: PLC0415
    except ImportError as exc:
        raise ConfigError(
            "fetching models needs the worker's packages", hint="pip install 'rowvec[worker]'"
        ) from exc
    # It tells of each of its attempts; how they ended is the error.
    hub_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # theirs has no types
    try:
        folder = Path(
            snapshot_download(
                repository,
                revision=revision,
                allow_patterns=list(WANTED),
                ignore_patterns=list(UNWANTED),
            )
        )
    except (OSError, HfHubHTTPError) as exc:
        reason = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
        raise ModelError(f"cannot fetch {repository} at {revision}: {reason}") from exc
    check_folder(folder, None)
    return folder
