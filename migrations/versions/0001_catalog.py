"""The catalog: definitions, failures, shards, settings, and the server entry of the worker."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

_STATEMENTS = (
    "COMMENT ON SCHEMA rowvec IS 'rowvec: a vector for every row'",
    "CREATE DOMAIN rowvec.image_path AS text",
    """
    COMMENT ON DOMAIN rowvec.image_path
    IS 'Path of an image file, relative to the image folder of the jobs'
    """,
    # A regclass follows a renamed table, and pg_dump writes it as a name.
    """
    CREATE TABLE rowvec.embedding (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        source regclass NOT NULL,
        name text NOT NULL CHECK (name <> ''),
        model text NOT NULL,
        input text NOT NULL,
        modality text NOT NULL DEFAULT 'text'
            CHECK (modality IN ('text', 'image', 'image_file')),
        filter text,
        columns jsonb NOT NULL DEFAULT '{}',
        guarded jsonb,
        destination text NOT NULL DEFAULT 'column' CHECK (destination IN ('column', 'table')),
        dimensions int NOT NULL CHECK (dimensions > 0),
        kwargs jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(kwargs) = 'object'),
        on_truncate text NOT NULL DEFAULT 'truncate',
        chunk jsonb,
        metric text NOT NULL DEFAULT 'cosine' CHECK (metric IN ('cosine', 'inner_product', 'l2')),
        version int NOT NULL DEFAULT 1,
        paused boolean NOT NULL DEFAULT false,
        is_default boolean NOT NULL DEFAULT false,
        adopted_before xid8,
        index_name text,
        index_kind text,
        index_is_graph boolean,
        index_storage text CHECK (index_storage IN ('vector', 'halfvec', 'bit')),
        index_lists int,
        index_rows bigint,
        setting_name text,
        setting int,
        setting_most int,
        rescore int,
        recall real,
        target_recall real,
        measured_at timestamptz,
        text_config text,
        text_document text,
        created_at timestamptz NOT NULL DEFAULT now(),
        UNIQUE (source, name)
    )
    """,
    "COMMENT ON TABLE rowvec.embedding IS 'One row a definition, see rowvec.create_embedding'",
    "COMMENT ON COLUMN rowvec.embedding.input IS 'SQL expression over the row, canonical form'",
    """
    COMMENT ON COLUMN rowvec.embedding.modality
    IS 'What the input is to the model; an image is read as base64'
    """,
    "COMMENT ON COLUMN rowvec.embedding.filter IS 'Which rows take part; all where NULL'",
    """
    COMMENT ON COLUMN rowvec.embedding.columns
    IS 'Columns that input and filter name, with their numbers: these stay where a name changes'
    """,
    """
    COMMENT ON COLUMN rowvec.embedding.guarded
    IS 'Where input or filter may raise an error: SQL that reads without it, and SQL of the error'
    """,
    "COMMENT ON COLUMN rowvec.embedding.version IS 'Raised when what is embedded changes'",
    """
    COMMENT ON COLUMN rowvec.embedding.is_default
    IS 'Chosen for queries that name no embedding; where none of a source is, its first serves'
    """,
    """
    COMMENT ON COLUMN rowvec.embedding.adopted_before
    IS 'Vectors of rows that no later transaction wrote were there before, and are kept'
    """,
    "COMMENT ON COLUMN rowvec.embedding.index_rows IS 'Rows when the index was built'",
    "COMMENT ON COLUMN rowvec.embedding.index_kind IS 'Its access method'",
    """
    COMMENT ON COLUMN rowvec.embedding.index_is_graph
    IS 'A graph grows with its table, others are drawn once, for index_rows'
    """,
    """
    COMMENT ON COLUMN rowvec.embedding.setting_name
    IS 'Parameter of the access method (probes: ivfflat.probes) and option of search'
    """,
    "COMMENT ON COLUMN rowvec.embedding.setting IS 'Measured: reaches the target recall'",
    """
    COMMENT ON COLUMN rowvec.embedding.setting_most
    IS 'Where the setting has to be at least the rows that are wanted: the largest there is'
    """,
    """
    COMMENT ON COLUMN rowvec.embedding.rescore
    IS 'Candidates of the index that are ranked again by the vectors themselves; NULL for none'
    """,
    "COMMENT ON COLUMN rowvec.embedding.target_recall IS 'Asked for; the setting''s where NULL'",
    "COMMENT ON COLUMN rowvec.embedding.text_document IS 'SQL of the tsvector that is indexed'",
    """
    CREATE TABLE rowvec.derived (
        embedding_id bigint NOT NULL REFERENCES rowvec.embedding ON DELETE CASCADE,
        kind text NOT NULL CHECK (kind <> ''),
        relation regclass NOT NULL,
        relation_name text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (embedding_id, kind)
    )
    """,
    "COMMENT ON TABLE rowvec.derived IS 'Tables that rowvec made from a source and its vectors'",
    """
    CREATE TABLE rowvec.measurement (
        embedding_id bigint NOT NULL REFERENCES rowvec.embedding ON DELETE CASCADE,
        setting int NOT NULL,
        rescore int,
        recall real NOT NULL,
        p50_ms real NOT NULL,
        p95_ms real NOT NULL,
        UNIQUE NULLS NOT DISTINCT (embedding_id, setting, rescore)
    )
    """,
    "COMMENT ON TABLE rowvec.measurement IS 'Recall and latency of the index as last measured'",
    "COMMENT ON COLUMN rowvec.measurement.setting IS 'A value of setting_name of the embedding'",
    """
    CREATE TABLE rowvec.failure (
        embedding_id bigint NOT NULL REFERENCES rowvec.embedding ON DELETE CASCADE,
        key jsonb NOT NULL,
        input_hash bigint,
        kind text NOT NULL DEFAULT 'model' CHECK (kind IN ('model', 'database')),
        sqlstate text NOT NULL,
        message text NOT NULL,
        attempts int NOT NULL DEFAULT 1,
        first_failed_at timestamptz NOT NULL DEFAULT now(),
        last_failed_at timestamptz NOT NULL DEFAULT now(),
        next_attempt_at timestamptz,
        PRIMARY KEY (embedding_id, key)
    )
    """,
    "COMMENT ON TABLE rowvec.failure IS 'Rows left alone until their input changes'",
    """
    COMMENT ON COLUMN rowvec.failure.kind
    IS 'Who refused: the model the text, or the database what was read or written of the row'
    """,
    """
    COMMENT ON COLUMN rowvec.failure.next_attempt_at
    IS 'When the row is tried again by itself; never where NULL'
    """,
    """
    CREATE TABLE rowvec.truncation (
        embedding_id bigint NOT NULL REFERENCES rowvec.embedding ON DELETE CASCADE,
        key jsonb NOT NULL,
        input_hash bigint NOT NULL,
        tokens int NOT NULL,
        max_tokens int NOT NULL,
        truncated_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (embedding_id, key)
    )
    """,
    "COMMENT ON TABLE rowvec.truncation IS 'Rows whose text was longer than the model reads'",
    """
    CREATE TABLE rowvec.load_position (
        source regclass NOT NULL,
        url text NOT NULL,
        rest text NOT NULL,
        loaded_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (source, url)
    )
    """,
    """
    COMMENT ON TABLE rowvec.load_position
    IS 'Loads from an API that ended at a dead page: where the next one of the same goes on'
    """,
    """
    CREATE TABLE rowvec.shard (
        embedding_id bigint NOT NULL REFERENCES rowvec.embedding ON DELETE CASCADE,
        number int NOT NULL,
        lower text[],
        upper text[],
        token bigint NOT NULL DEFAULT 1,
        leased_until timestamptz,
        done_at timestamptz,
        PRIMARY KEY (embedding_id, number)
    )
    """,
    "COMMENT ON TABLE rowvec.shard IS 'Key ranges (lower, upper] of the running pass of backfill'",
    "COMMENT ON COLUMN rowvec.shard.token IS 'Counts the holders; only the last one may write'",
    """
    CREATE TABLE rowvec.job (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        embedding_id bigint NOT NULL REFERENCES rowvec.embedding ON DELETE CASCADE,
        kind text NOT NULL CHECK (kind IN ('backfill', 'sync')),
        host text NOT NULL,
        pid int NOT NULL,
        started_at timestamptz NOT NULL DEFAULT now(),
        heartbeat_at timestamptz NOT NULL DEFAULT now(),
        ended_at timestamptz,
        rows_done bigint NOT NULL DEFAULT 0,
        rows_per_second float8 NOT NULL DEFAULT 0,
        caught_up_at timestamptz,
        last_error text,
        last_error_at timestamptz
    )
    """,
    "CREATE INDEX job_embedding_id ON rowvec.job (embedding_id)",
    "COMMENT ON TABLE rowvec.job IS 'Jobs that fill embeddings, with their signs of life'",
    "COMMENT ON COLUMN rowvec.job.rows_per_second IS 'Over the last minute'",
    "COMMENT ON COLUMN rowvec.job.caught_up_at IS 'When a sync last found nothing to do'",
    """
    CREATE TABLE rowvec.setting (
        name text PRIMARY KEY,
        value jsonb NOT NULL,
        description text NOT NULL
    )
    """,
    """
    INSERT INTO rowvec.setting (name, value, description) VALUES
        ('worker_deadline_ms', '60000', 'longest wait for the worker, in milliseconds'),
        ('target_recall', '0.95', 'recall that the measured number of probes must reach')
    """,
    "CREATE TABLE rowvec.secret (value text NOT NULL)",
    "CREATE UNIQUE INDEX secret_is_one_row ON rowvec.secret ((true))",
    "COMMENT ON TABLE rowvec.secret IS 'Makes the names of connections to the worker unguessable'",
    """
    INSERT INTO rowvec.secret (value)
    VALUES (gen_random_uuid()::text || gen_random_uuid()::text)
    """,
    """
    CREATE TABLE rowvec.sql_object (
        path text PRIMARY KEY,
        sha256 text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "COMMENT ON TABLE rowvec.sql_object IS 'Files of sql/ as they were last applied'",
    # Where the worker is; `rowvec server set` changes it. A network that loses packets is noticed
    # within 5 s: what is sent has to be acknowledged, and what waits is asked for a sign of life.
    """
    CREATE SERVER IF NOT EXISTS rowvec_worker FOREIGN DATA WRAPPER dblink_fdw
    OPTIONS (host '127.0.0.1', port '5466', dbname 'rowvec', connect_timeout '2',
        tcp_user_timeout '2500', keepalives_idle '1', keepalives_interval '1')
    """,
)


def upgrade() -> None:
    """Creates the catalog."""
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Definitions would be lost: `rowvec uninstall` asks before it does that."""
    raise NotImplementedError("run `rowvec uninstall`")
