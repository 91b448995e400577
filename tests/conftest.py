"""The fixtures that all tests share stand in `tests/support/`."""

pytest_plugins = (
    "support.commands",
    "support.grouping",
    "support.models",
    "support.postgres",
    "support.reviews",
    "support.workers",
)
