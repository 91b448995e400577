"""SQL text that ships with the package: functions, views, queries."""
