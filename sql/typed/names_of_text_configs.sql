-- Run by the command line when a text search configuration is not there: those that are.
SELECT cfgname::pg_catalog.text FROM pg_catalog.pg_ts_config
ORDER BY 1;
