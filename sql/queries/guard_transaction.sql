-- Bounds of a transaction that writes: rows that others hold, a job that hangs in the middle of it. Few
-- rows of many are found by their key, in its order: whatever statistics say, nothing else is meant.
SELECT set_config('lock_timeout', '2s', true),
       set_config('idle_in_transaction_session_timeout', '30s', true),
       (SELECT set_config(name, '60s', true) FROM pg_settings WHERE name = 'transaction_timeout'),
       set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true);
