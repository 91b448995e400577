"""The fixtures that all tests share stand in `tests/support/`."""

pytest_plugins = (
    "support.commands",
    "support.endpoints",
    "support.grouping",
    "support.instance",
    "support.library",
    "support.models",
    "support.postgres",
    "support.majors",
    "support.reviews",
    "support.workers",
)
