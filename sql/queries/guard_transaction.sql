-- Bounds of a transaction that writes: rows that others hold, a job that hangs in the middle of it. Who waits
-- for a row gives up long before deadlock_timeout, so that no statement of others is a deadlock's victim. Few
-- rows of many are found by their key, in its order: whatever statistics say, nothing else is meant.
SELECT set_config('lock_timeout', '100ms', true),
       set_config('idle_in_transaction_session_timeout', '30s', true),
       -- Known since Postgres 17.
       CASE WHEN current_setting('server_version_num')::int >= 170000
           THEN set_config('transaction_timeout', '60s', true) END,
       set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true);
