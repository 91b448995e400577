-- No package brings dblink for Postgres 16 together with pgvector. What reads plans calls no worker,
-- but what is installed names these.
CREATE FOREIGN DATA WRAPPER dblink_fdw;
CREATE FUNCTION dblink_connect(text, text) RETURNS text
LANGUAGE plpgsql AS $$ BEGIN RAISE 'there is no dblink here'; END $$;
CREATE FUNCTION dblink_disconnect(text) RETURNS text
LANGUAGE plpgsql AS $$ BEGIN RAISE 'there is no dblink here'; END $$;
CREATE FUNCTION dblink_get_connections() RETURNS text[]
LANGUAGE plpgsql AS $$ BEGIN RAISE 'there is no dblink here'; END $$;
CREATE FUNCTION dblink_get_result(text) RETURNS SETOF record
LANGUAGE plpgsql AS $$ BEGIN RAISE 'there is no dblink here'; END $$;
CREATE FUNCTION dblink_is_busy(text) RETURNS int
LANGUAGE plpgsql AS $$ BEGIN RAISE 'there is no dblink here'; END $$;
CREATE FUNCTION dblink_send_query(text, text) RETURNS int
LANGUAGE plpgsql AS $$ BEGIN RAISE 'there is no dblink here'; END $$;
