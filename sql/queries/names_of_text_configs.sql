-- Run by the command line when a text search configuration is not there: those that are.
SELECT cfgname::text FROM pg_ts_config
ORDER BY 1;
