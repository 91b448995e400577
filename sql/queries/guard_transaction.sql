-- Bounds of a transaction that writes: rows that others hold, a job that hangs in the middle of it. Who waits
-- for a row gives up long before deadlock_timeout, so that no statement of others is a deadlock's victim.
SELECT set_config('lock_timeout', '100ms', true),
       set_config('idle_in_transaction_session_timeout', '30s', true),
       -- Known since Postgres 17.
       CASE WHEN current_setting('server_version_num')::int >= 170000
           THEN set_config('transaction_timeout', '60s', true) END;
