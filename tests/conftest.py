"""The fixtures that all tests share stand in `tests/support/`."""

import pytest
from hypothesis import HealthCheck, settings

# Whichever of its modules is imported first.
pytest.register_assert_rewrite("support")

# On a busy machine an example takes as long as it takes.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

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
