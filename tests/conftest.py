"""The fixtures that all tests share stand in `tests/support/`."""

import pytest

# Whichever of its modules is imported first.
pytest.register_assert_rewrite("support")

pytest_plugins = (
    "support.backfills",
    "support.commands",
    "support.endpoints",
    "support.exporting",
    "support.grouping",
    "support.http_worker",
    "support.indexing",
    "support.instance",
    "support.library",
    "support.loading",
    "support.majors",
    "support.models",
    "support.postgres",
    "support.reviews",
    "support.workers",
)
