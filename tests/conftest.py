"""The fixtures that all tests share stand in `tests/support/`."""

import pytest

# Whichever of its modules is imported first.
pytest.register_assert_rewrite("support")

pytest_plugins = (
    "support.backfills",
    "support.commands",
    "support.exporting",
    "support.grouping",
    "support.http_worker",
    "support.indexing",
    "support.loading",
    "support.models",
    "support.postgres",
    "support.reviews",
    "support.workers",
)
