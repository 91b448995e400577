-- Bounds of a transaction that writes: rows that others hold, a job that hangs in the middle of it.
SELECT set_config('lock_timeout', '2s', true),
       set_config('idle_in_transaction_session_timeout', '30s', true),
       (SELECT set_config(name, '60s', true) FROM pg_settings WHERE name = 'transaction_timeout');
