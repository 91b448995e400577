-- What every session sees committed, as two looks of a sync compare it.
SELECT pg_catalog.pg_current_snapshot()::text;
