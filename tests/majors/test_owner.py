"""Code of a table's owner has the owner's rights in every job, and finds no way out of them.

The jobs log in as a superuser, which is the worst that could be reached.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from rowvec.backfill.plan import Prices, plan
from rowvec.backfill.report import LogReporter
from rowvec.backfill.run import BackfillRequest, backfill
from rowvec.config import Settings
from rowvec.db.worker_address import worker_conninfo
from rowvec.explore.cluster.run import ClusterRequest, cluster
from rowvec.explore.map.run import MapRequest, make_map
from rowvec.search.similarities import SimilaritiesRequest, similarities
from rowvec.sync.run import Task, sync
from support.postgres import Database, refused
from support.waiting import eventually

# What each place below runs. It notes who it runs as, tries what would make it more than the owner,
# and answers.
ATTACK = """
CREATE FUNCTION app.attack(place text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM app.note(place);
    RETURN true;
END $$;
CREATE FUNCTION app.note(place text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    attempt text;
BEGIN
    INSERT INTO app.diary VALUES (place, current_user);
    FOREACH attempt IN ARRAY ARRAY[
        'RESET ROLE', 'SET SESSION AUTHORIZATION DEFAULT', 'SET ROLE postgres',
        'SET LOCAL SESSION AUTHORIZATION postgres', 'INSERT INTO public.vault VALUES (1)',
        'ALTER ROLE {owner} SUPERUSER', 'GRANT postgres TO {owner}'
    ] LOOP
        BEGIN
            EXECUTE attempt;
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
END $$;
CREATE FUNCTION app.on_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM note(TG_ARGV[0]);  -- by a name that the owner's own search_path finds
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
"""

# The key's domain, so that every key that a job hands over is checked.
TABLE = """
CREATE DOMAIN app.number AS bigint CHECK (app.attack('domain'));
CREATE TABLE app.notes (id app.number PRIMARY KEY, body text);
INSERT INTO app.notes SELECT i, 'text ' || i FROM generate_series(1, 20) AS i;
CREATE FUNCTION app.text_of(body text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM app.attack('input');
    RETURN body;
END $$;
"""

PLACES = """
CREATE FUNCTION app.mark(hash bigint, place text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN app.attack(place);
END $$;
CREATE INDEX ON app.notes (app.mark(embedding_of, 'index'));
ALTER TABLE app.notes
    ADD generated boolean GENERATED ALWAYS AS (app.mark(embedding_of, 'generated')) STORED;
CREATE RULE also AS ON UPDATE TO app.notes
    DO ALSO INSERT INTO app.diary SELECT 'rule', current_user WHERE app.attack('rule');
CREATE TRIGGER before BEFORE UPDATE ON app.notes
    FOR EACH ROW EXECUTE FUNCTION app.on_row('before');
CREATE CONSTRAINT TRIGGER deferred AFTER UPDATE ON app.notes DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION app.on_row('deferred');
"""

# Rules and statements with WITH go together in Postgres by half; a column of vectors has no WITH.
CHUNKS = """
CREATE FUNCTION app.defaulted() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM note('default');
    RETURN 'x';
END $$;
ALTER TABLE app.notes_embedding ADD more text DEFAULT app.defaulted();
CREATE TRIGGER chunk BEFORE INSERT ON app.notes_embedding
    FOR EACH ROW EXECUTE FUNCTION app.on_row('chunk');
CREATE TRIGGER gone BEFORE DELETE ON app.notes_embedding
    FOR EACH ROW EXECUTE FUNCTION app.on_row('gone');
"""


@dataclass
class Intruder:
    """A role without rights, the owner of `app.notes`, whose code tries to be a superuser."""

    database: Database
    name: str

    def does(self, script: str) -> None:
        """Runs something in a session of its own."""
        with self.database.connect(self.name) as connection:
            connection.execute(script.replace("{owner}", self.name).encode())

    def diary(self) -> dict[str, set[str]]:
        """By place, as whom its code ran."""
        found: dict[str, set[str]] = {}
        for place, role in self.ask("SELECT DISTINCT place, role FROM app.diary"):
            found.setdefault(place, set()).add(role)
        return found

    def forget(self) -> None:
        self.does("TRUNCATE app.diary")

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        with self.database.connect() as admin:
            return admin.execute(statement.encode()).fetchall()

    def is_where_it_was(self) -> bool:
        """Whether it has the rights that it began with, and has written nothing with others."""
        ((more,),) = self.ask(
            "SELECT rolsuper OR EXISTS (SELECT FROM pg_auth_members WHERE member = r.oid)"
            " OR EXISTS (SELECT FROM public.vault)"
            f" FROM pg_roles AS r WHERE rolname = '{self.name}'"
        )
        return not more


@pytest.fixture
def intruder(database: Database) -> Iterator[Intruder]:
    name = f"intruder_{uuid.uuid4().hex[:8]}"
    with database.connect() as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN".encode())
        admin.execute(f"ALTER ROLE {name} SET search_path = app".encode())
        admin.execute(f"CREATE SCHEMA app AUTHORIZATION {name}".encode())
        admin.execute("CREATE TABLE public.vault (i int)")
    made = Intruder(database, name)
    made.does("CREATE TABLE app.diary (place text, role text)")
    made.does(ATTACK + TABLE)
    yield made
    with database.connect() as admin:
        admin.execute("DROP TABLE public.vault")
        for statement in (
            "REASSIGN OWNED BY {0} TO postgres",
            "DROP OWNED BY {0}",
            "DROP ROLE {0}",
        ):
            admin.execute(sql.SQL(statement).format(sql.Identifier(name)))


Job = Callable[[Database], None]


def by_backfill(database: Database) -> None:
    settings = Settings.build(dsn=database.dsn, commit_rows=8)
    asyncio.run(
        backfill(
            settings, BackfillRequest("app.notes"), worker=worker_conninfo(settings),
            reporter=LogReporter(), stop=asyncio.Event(),
        )
    )  # fmt: skip


def by_call(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CALL rowvec.backfill('app.notes')")


def by_sync(database: Database) -> None:
    settings = Settings.build(dsn=database.dsn, commit_rows=8)

    def is_filled() -> bool:
        with database.connect() as connection:
            found = connection.execute(
                "SELECT count(*) FROM app.notes WHERE embedding_of IS NULL AND body IS NOT NULL"
            ).fetchone()
        return found == (0,)

    async def run() -> None:
        stop = asyncio.Event()
        said: list[str] = []
        running = asyncio.create_task(
            sync(Task(settings, None, lambda: worker_conninfo(settings), said.append, stop))
        )
        await asyncio.to_thread(eventually, is_filled)
        stop.set()
        await running

    asyncio.run(run())


JOBS = [pytest.param(job, id=job.__name__) for job in (by_backfill, by_call, by_sync)]
CUTTING_JOBS = [pytest.param(job, id=job.__name__) for job in (by_backfill, by_sync)]


def declare(intruder: Intruder, destination: str = "column") -> None:
    with intruder.database.connect() as admin:
        admin.execute(
            "SELECT rowvec.create_embedding('app.notes', 'stand-in-small', 'app.text_of(body)',"
            " destination => %s)",
            (destination,),
        )
        # Chunks are the creator's, and may be given to the owner of their source.
        if destination == "table":
            admin.execute(f"ALTER TABLE app.notes_embedding OWNER TO {intruder.name}".encode())


@pytest.mark.parametrize("job", JOBS)
def test_all_that_a_write_runs_has_the_owners_rights(intruder: Intruder, job: Job) -> None:
    declare(intruder)
    intruder.does(PLACES)
    intruder.forget()
    job(intruder.database)
    assert intruder.is_where_it_was()
    places = ("before", "deferred", "domain", "generated", "index", "input", "rule")
    assert intruder.diary() == {place: {intruder.name} for place in places}
    assert intruder.ask(
        "SELECT count(*) FROM app.notes WHERE embedding = rowvec.embed('stand-in-small', body)"
    ) == [(20,)]


@pytest.mark.parametrize("job", CUTTING_JOBS)
def test_all_that_writing_chunks_runs_has_the_owners_rights(intruder: Intruder, job: Job) -> None:
    declare(intruder, "table")
    intruder.does(PLACES.replace("CREATE RULE", "-- CREATE RULE").replace("    DO ALSO", "-- DO"))
    job(intruder.database)
    intruder.does(CHUNKS)
    intruder.does("UPDATE app.notes SET body = 'other ' || body, embedding_of = NULL")
    intruder.forget()
    job(intruder.database)
    assert intruder.is_where_it_was()
    places = ("before", "chunk", "default", "deferred", "domain", "generated", "gone", "index",
              "input")  # fmt: skip
    assert intruder.diary() == {place: {intruder.name} for place in places}
    assert intruder.ask("SELECT count(*) FROM app.notes_embedding WHERE chunk ~ 'other'") == [(20,)]


@pytest.mark.parametrize("job", JOBS)
def test_a_text_that_became_null_is_cleared_with_the_owners_rights(
    intruder: Intruder, job: Job
) -> None:
    declare(intruder)
    job(intruder.database)
    intruder.does(PLACES)
    intruder.does("UPDATE app.notes SET body = NULL, embedding_of = 0 WHERE id < 5")
    intruder.does("UPDATE app.notes SET body = 'new', embedding_of = NULL WHERE id = 5")
    intruder.forget()
    job(intruder.database)
    assert intruder.is_where_it_was()
    assert {role for roles in intruder.diary().values() for role in roles} == {intruder.name}
    eventually(
        lambda: intruder.ask("SELECT count(*) FROM app.notes WHERE embedding IS NULL") == [(4,)]
    )


def test_rows_that_an_alteration_makes_pending_are_marked_with_the_owners_rights(
    intruder: Intruder,
) -> None:
    intruder.does("UPDATE app.notes SET body = repeat('word ', 100) WHERE id <= 3")
    declare(intruder)
    by_call(intruder.database)
    intruder.does(PLACES)
    intruder.forget()
    with intruder.database.connect() as admin:
        admin.execute("SELECT rowvec.alter_embedding('app.notes', on_truncate => 'error')")
    assert intruder.ask("SELECT count(*) FROM app.notes WHERE embedding_of IS NULL") == [(3,)]
    assert intruder.is_where_it_was()
    assert intruder.diary()["before"] == {intruder.name}
    assert {role for roles in intruder.diary().values() for role in roles} == {intruder.name}


def test_a_plan_samples_with_the_owners_rights(intruder: Intruder) -> None:
    declare(intruder)
    intruder.forget()
    settings = Settings.build(dsn=intruder.database.dsn)
    found = asyncio.run(
        plan(
            settings,
            "app.notes",
            None,
            worker=worker_conninfo(settings),
            prices=Prices(),
            sample_rows=50,
        )
    )
    assert (found.rows, found.sampled_rows) == (20, 20)
    assert intruder.is_where_it_was()
    assert intruder.diary() == {"input": {intruder.name}}


@pytest.mark.parametrize("job", [pytest.param(by_backfill, id="by_backfill")])
def test_what_is_left_in_the_session_changes_no_statement_of_a_job(
    intruder: Intruder, job: Job
) -> None:
    """A path, temporary tables and prepared statements of the names that a job might use."""
    intruder.does(
        """
        CREATE FUNCTION app.now() RETURNS timestamptz LANGUAGE plpgsql AS $$
        BEGIN PERFORM app.note('now'); RETURN pg_catalog.now(); END $$;
        CREATE FUNCTION app.count(bigint) RETURNS bigint LANGUAGE plpgsql AS $$
        BEGIN PERFORM app.note('count'); RETURN 1; END $$;
        CREATE FUNCTION app.set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql AS $$
        BEGIN PERFORM app.note('set_config'); RETURN 'x'; END $$;
        CREATE FUNCTION app.same(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN PERFORM app.note('equal'); RETURN $1 OPERATOR(pg_catalog.=) $2; END $$;
        CREATE OPERATOR app.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = app.same);
        CREATE FUNCTION app.leave() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM note('leave');
            PERFORM pg_catalog.set_config('search_path', 'app, pg_catalog', false);
            CREATE TEMP TABLE IF NOT EXISTS pg_class AS SELECT app.attack('temporary') AS oid;
            FOR n IN 0..40 LOOP
                BEGIN
                    EXECUTE pg_catalog.format(
                        'PREPARE _pg3_%s AS SELECT app.attack(''prepared'')', n);
                EXCEPTION WHEN duplicate_prepared_statement THEN
                    EXECUTE pg_catalog.format('DEALLOCATE _pg3_%s', n);
                    EXECUTE pg_catalog.format(
                        'PREPARE _pg3_%s AS SELECT app.attack(''prepared'')', n);
                END;
            END LOOP;
            RETURN NEW;
        END $$;
        CREATE TRIGGER leave BEFORE UPDATE ON app.notes FOR EACH ROW EXECUTE FUNCTION app.leave();
        """
    )
    declare(intruder)
    intruder.forget()
    job(intruder.database)
    assert intruder.is_where_it_was()
    # What looks at the rows once more, in the owner's function, finds the owner's own operator.
    assert set(intruder.diary()) == {"domain", "equal", "input", "leave", "temporary"}
    assert {role for roles in intruder.diary().values() for role in roles} == {intruder.name}


def test_work_that_is_put_off_again_at_the_end_has_the_owners_rights(intruder: Intruder) -> None:
    intruder.does(
        """
        CREATE TABLE app.later (i int);
        CREATE FUNCTION app.on_commit() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM app.note('commit');
            RETURN NEW;
        END $$;
        CREATE CONSTRAINT TRIGGER later AFTER INSERT ON app.later DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION app.on_commit();
        CREATE FUNCTION app.again() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            SET CONSTRAINTS ALL DEFERRED;
            INSERT INTO app.later VALUES (1);
            RETURN NEW;
        END $$;
        CREATE CONSTRAINT TRIGGER again AFTER UPDATE ON app.notes DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION app.again();
        """
    )
    declare(intruder)
    intruder.forget()
    by_backfill(intruder.database)
    assert intruder.is_where_it_was()
    assert intruder.diary()["commit"] == {intruder.name}


def test_work_that_is_put_off_without_end_reaches_no_commit_as_the_job(intruder: Intruder) -> None:
    intruder.does(
        """
        CREATE FUNCTION app.again() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM app.note('again');
            SET CONSTRAINTS ALL DEFERRED;
            UPDATE app.notes SET body = body WHERE id = NEW.id AND (
                SELECT count(*) FROM app.diary WHERE place = 'again') < 100;
            RETURN NEW;
        END $$;
        CREATE CONSTRAINT TRIGGER again AFTER UPDATE ON app.notes DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION app.again();
        """
    )
    declare(intruder)
    intruder.forget()
    # Postgres 18 need not refuse it.
    refusal = contextlib.suppress(psycopg.errors.ProgramLimitExceeded)
    with intruder.database.connect() as admin, refusal:
        admin.execute("CALL rowvec.backfill('app.notes', commit_rows => 1)")
    assert intruder.is_where_it_was()
    assert intruder.diary().get("again", {intruder.name}) == {intruder.name}


def test_a_call_refuses_a_path_that_a_trigger_left_behind(intruder: Intruder) -> None:
    intruder.does(
        """
        CREATE FUNCTION app.leave() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_catalog.set_config('search_path', 'app, pg_catalog', false);
            RETURN NEW;
        END $$;
        CREATE TRIGGER leave BEFORE UPDATE ON app.notes FOR EACH ROW EXECUTE FUNCTION app.leave();
        """
    )
    declare(intruder)
    with intruder.database.connect() as connection:
        connection.execute("SET search_path = public")
        with refused("42501", "changed the search_path", "SET LOCAL"):
            connection.execute("CALL rowvec.backfill('app.notes')")
        assert connection.execute("SHOW search_path").fetchone() == ("public",)


def test_a_policy_that_binds_the_owner_stops_the_job(intruder: Intruder) -> None:
    declare(intruder)
    intruder.does(
        "CREATE POLICY mine ON app.notes USING (app.attack('policy'));"
        "ALTER TABLE app.notes ENABLE ROW LEVEL SECURITY"
    )
    intruder.forget()
    by_call(intruder.database)  # the owner is above policies, as in a session of its own
    assert "policy" not in intruder.diary()
    intruder.does("ALTER TABLE app.notes FORCE ROW LEVEL SECURITY")
    with intruder.database.connect() as connection, refused("42501", "policy", "NO FORCE"):
        connection.execute("CALL rowvec.backfill('app.notes')")
    assert intruder.is_where_it_was()


def test_nobody_but_the_catalogs_owner_reaches_the_functions(intruder: Intruder) -> None:
    """Their owner could turn them into functions that run as whoever calls them."""
    declare(intruder)
    ((number,),) = intruder.ask("SELECT id FROM rowvec.embedding")
    arguments = "text[], text[], bigint, boolean"
    with intruder.database.connect() as admin:
        admin.execute(f"GRANT rowvec_user TO {intruder.name}".encode())
    try:
        with intruder.database.connect(intruder.name) as connection:
            for statement in (
                f"ALTER FUNCTION rowvec_jobs.read_{number}({arguments}) SECURITY INVOKER",
                f"SELECT rowvec_jobs.read_{number}(NULL, NULL, 1, true)",
                "CREATE FUNCTION rowvec_jobs.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            ):
                with refused("42501", "rowvec_jobs"):
                    connection.execute(statement.encode())
    finally:
        with intruder.database.connect() as admin:
            admin.execute(f"REVOKE rowvec_user FROM {intruder.name}".encode())


def test_an_owner_who_may_look_into_every_schema_is_refused(intruder: Intruder) -> None:
    declare(intruder)
    with intruder.database.connect() as admin:
        admin.execute(f"GRANT pg_read_all_data TO {intruder.name}".encode())
        try:
            with refused("42501", "may look into the schema rowvec_jobs", "pg_read_all_data"):
                admin.execute("CALL rowvec.backfill('app.notes')")
        finally:
            admin.execute(f"REVOKE pg_read_all_data FROM {intruder.name}".encode())


def test_functions_that_were_changed_or_have_another_owner_are_made_anew(
    intruder: Intruder,
) -> None:
    declare(intruder)
    ((number,),) = intruder.ask("SELECT id FROM rowvec.embedding")
    functions = (
        "SELECT DISTINCT proowner::regrole::text, prosecdef, prosrc LIKE '%vault%' FROM pg_proc"
        " WHERE pronamespace = 'rowvec_jobs'::regnamespace"
    )
    assert intruder.ask(functions) == [(intruder.name, True, False)]
    with intruder.database.connect() as admin:
        admin.execute(
            f"CREATE OR REPLACE FUNCTION rowvec_jobs.after_{number}(text[], text[], bigint)"
            " RETURNS TABLE (row_key text[]) LANGUAGE plpgsql AS"
            " 'BEGIN INSERT INTO public.vault VALUES (1); END'".encode()
        )
        other = f"other_{uuid.uuid4().hex[:8]}"
        admin.execute(
            f"CREATE ROLE {other}; GRANT ALL ON SCHEMA app TO {other};"
            f"ALTER TABLE app.notes OWNER TO {other};"
            f"GRANT INSERT ON app.diary TO {other}".encode()
        )
        try:
            by_backfill(intruder.database)
            assert intruder.is_where_it_was()
            assert intruder.ask(functions) == [(other, True, False)]
        finally:
            admin.execute(
                f"REASSIGN OWNED BY {other} TO postgres; DROP OWNED BY {other};"
                f"DROP ROLE {other}".encode()
            )


def test_a_renamed_table_and_another_path_of_its_owner_are_followed(intruder: Intruder) -> None:
    declare(intruder)
    intruder.does(
        "ALTER TABLE app.notes RENAME TO other; ALTER TABLE app.other RENAME id TO number"
    )
    with intruder.database.connect() as admin:
        admin.execute(f"ALTER ROLE {intruder.name} SET search_path = app, public".encode())
        admin.execute("CALL rowvec.backfill('app.other')")
        found = admin.execute(
            "SELECT DISTINCT c FROM pg_proc AS p, unnest(p.proconfig) AS c"
            " WHERE pronamespace = 'rowvec_jobs'::regnamespace AND c LIKE 'search_path%'"
        ).fetchall()
    assert found == [("search_path=app, public, pg_temp",)]
    assert intruder.ask("SELECT count(embedding) FROM app.other") == [(20,)]


def test_dropping_an_embedding_drops_its_functions(intruder: Intruder) -> None:
    declare(intruder)
    with intruder.database.connect() as admin:
        admin.execute("SELECT rowvec.drop_embedding('app.notes')")
    assert (
        intruder.ask("SELECT proname FROM pg_proc WHERE pronamespace = 'rowvec_jobs'::regnamespace")
        == []
    )


def test_a_job_that_may_not_make_the_functions_says_who_may(intruder: Intruder) -> None:
    declare(intruder)
    job = f"job_{uuid.uuid4().hex[:8]}"
    with intruder.database.connect() as admin:
        admin.execute(f"ALTER ROLE {intruder.name} SET search_path = public".encode())
        admin.execute(f"CREATE ROLE {job} LOGIN".encode())
        admin.execute(f"GRANT USAGE ON SCHEMA rowvec, rowvec_jobs, app TO {job}".encode())
        admin.execute(f"GRANT SELECT ON rowvec.embedding, rowvec.derived TO {job}".encode())
        admin.execute(
            f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA rowvec TO {job};"
            f"GRANT EXECUTE ON ALL PROCEDURES IN SCHEMA rowvec TO {job}".encode()
        )
        try:
            with (
                intruder.database.connect(job) as connection,
                refused("42501", "not as they have to be", "rowvec migrate"),
            ):
                connection.execute("CALL rowvec.backfill('app.notes')")
        finally:
            admin.execute(f"DROP OWNED BY {job}; DROP ROLE {job}".encode())


def test_rows_that_are_gone_are_looked_for_with_the_owners_rights(intruder: Intruder) -> None:
    declare(intruder)
    with intruder.database.connect() as admin:
        admin.execute(
            "INSERT INTO rowvec.failure (embedding_id, key, input_hash, sqlstate, message)"
            " SELECT id, '99', 1, '22000', 'gone long ago' FROM rowvec.embedding"
        )
    intruder.forget()
    by_backfill(intruder.database)
    assert intruder.ask("SELECT count(*) FROM rowvec.failure") == [(0,)]
    assert {role for roles in intruder.diary().values() for role in roles} == {intruder.name}


def test_nothing_of_this_needs_a_connection_of_the_owner(
    intruder: Intruder, database: Database
) -> None:
    """An owner that cannot log in, a group, is acted as like any other."""
    with database.connect() as admin:
        admin.execute(f"ALTER ROLE {intruder.name} NOLOGIN".encode())
    declare(intruder)
    by_call(database)
    assert intruder.ask("SELECT count(embedding) FROM app.notes") == [(20,)]
    with psycopg.connect(database.dsn, autocommit=True) as admin:
        admin.execute(f"ALTER ROLE {intruder.name} LOGIN".encode())


@pytest.mark.parametrize("job", JOBS)
def test_a_cursor_that_outlives_its_transaction_is_not_read_as_the_job(
    intruder: Intruder, job: Job
) -> None:
    """The commit reads it to its end, as the role of the commit."""
    declare(intruder)
    intruder.does(
        """
        CREATE FUNCTION app.hold() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            EXECUTE pg_catalog.format(
                'DECLARE "Kept %s" CURSOR WITH HOLD FOR SELECT app.note(''cursor'')', NEW.id);
            RETURN NEW;
        END $$;
        CREATE CONSTRAINT TRIGGER hold AFTER UPDATE ON app.notes DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW WHEN (NEW.id = 1) EXECUTE FUNCTION app.hold();
        CREATE TRIGGER hold_now AFTER UPDATE ON app.notes
            FOR EACH ROW WHEN (NEW.id = 11) EXECUTE FUNCTION app.hold();
        """
    )
    job(intruder.database)
    assert intruder.is_where_it_was()
    assert "cursor" not in intruder.diary()


def test_a_cursor_of_the_callers_own_stays_open(intruder: Intruder) -> None:
    declare(intruder)
    with intruder.database.connect() as admin:
        admin.execute("DECLARE mine CURSOR WITH HOLD FOR SELECT 7")
        admin.execute("CALL rowvec.backfill('app.notes')")
        assert admin.execute("FETCH mine").fetchone() == (7,)


# A key of two columns: of a domain, and of a type whose casts are the owner's.
CASTS = """
CREATE TYPE app.mood AS ENUM ('good', 'bad');
ALTER TABLE app.notes ADD mood app.mood NOT NULL DEFAULT 'good';
ALTER TABLE app.notes DROP CONSTRAINT notes_pkey, ADD PRIMARY KEY (id, mood);
CREATE FUNCTION app.mood_text(app.mood) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM app.attack('cast to text');
    RETURN 'good';
END $$;
CREATE FUNCTION app.mood_json(app.mood) RETURNS json LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM app.attack('cast to json');
    RETURN '"good"';
END $$;
CREATE FUNCTION app.text_mood(text) RETURNS app.mood LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM app.attack('cast from text');
    RETURN 'good';
END $$;
CREATE FUNCTION app.same(app.mood, app.mood) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM app.attack('operator');
    RETURN true;
END $$;
CREATE CAST (app.mood AS text) WITH FUNCTION app.mood_text(app.mood);
CREATE CAST (app.mood AS json) WITH FUNCTION app.mood_json(app.mood);
CREATE CAST (text AS app.mood) WITH FUNCTION app.text_mood(text);
"""

# On the path of the owner, who may do to its own statements what it likes.
OPERATOR = "CREATE OPERATOR app.= (LEFTARG = app.mood, RIGHTARG = app.mood, FUNCTION = app.same)"


class Silence:
    """Nobody listens."""

    def phase(self, name: str, done: int, total: int) -> None:
        """Nothing."""

    def say(self, message: str) -> None:
        """Nothing."""


def by_cluster(database: Database) -> None:
    settings = Settings.build(dsn=database.dsn)
    asyncio.run(cluster(settings, ClusterRequest("app.notes", 2), Silence()))


def by_map(database: Database, folder: Path) -> None:
    settings = Settings.build(dsn=database.dsn)
    request = MapRequest("app.notes", output=folder / "map.html", colors=("mood",))
    asyncio.run(make_map(settings, request, Silence()))


def by_similarities(database: Database) -> None:
    settings = Settings.build(dsn=database.dsn)
    asyncio.run(similarities(settings, SimilaritiesRequest("app.notes", 3), Silence()))


@pytest.mark.parametrize("destination", ["column", "table"])
def test_what_is_derived_is_read_and_written_with_the_owners_rights(
    intruder: Intruder, destination: str, tmp_path: Path
) -> None:
    intruder.does(CASTS + OPERATOR)
    declare(intruder, destination)
    by_backfill(intruder.database)
    intruder.forget()
    by_cluster(intruder.database)
    by_map(intruder.database, tmp_path)
    by_similarities(intruder.database)
    # Once more, over what is there; whoever has the tables by now.
    for kind in ("cluster", "centroid", "map", "similar"):
        with intruder.database.connect() as admin:
            admin.execute(f"ALTER TABLE app.notes_{kind} OWNER TO {intruder.name}".encode())
        intruder.does(
            f"CREATE TRIGGER row BEFORE INSERT OR DELETE ON app.notes_{kind}"
            f" FOR EACH ROW EXECUTE FUNCTION app.on_row('{kind}')"
        )
    by_cluster(intruder.database)
    by_map(intruder.database, tmp_path)
    intruder.does("UPDATE app.notes SET body = 'new', embedding_of = NULL WHERE id < 5")
    by_backfill(intruder.database)
    by_similarities(intruder.database)
    assert intruder.is_where_it_was()
    diary = intruder.diary()
    assert {"domain", "input", "cast to text", "cast to json", "cast from text", "operator",
            "cluster", "centroid", "map", "similar"} <= diary.keys()  # fmt: skip
    assert {role for roles in diary.values() for role in roles} == {intruder.name}
    for kind, rows in (("cluster", 20), ("map", 20), ("similar", 60)):
        assert intruder.ask(f"SELECT count(*) FROM app.notes_{kind}") == [(rows,)]


def test_pairs_that_the_index_finds_are_read_with_the_owners_rights(
    intruder: Intruder, monkeypatch: pytest.MonkeyPatch
) -> None:
    intruder.does(CASTS)
    declare(intruder)
    by_backfill(intruder.database)
    with intruder.database.connect() as admin:
        admin.execute(
            "CREATE INDEX near ON app.notes USING hnsw (embedding public.vector_cosine_ops);"
            "UPDATE rowvec.embedding SET index_name = 'near', index_kind = 'hnsw',"
            " setting_name = 'ef_search', setting = 40"
        )
    monkeypatch.setattr("rowvec.search.similarities._MAX_EXACT_ROWS", 0)
    intruder.forget()
    by_similarities(intruder.database)
    assert intruder.is_where_it_was()
    assert {role for roles in intruder.diary().values() for role in roles} == {intruder.name}
    assert intruder.ask("SELECT count(DISTINCT id) FROM app.notes_similar") == [(20,)]


@pytest.mark.parametrize("destination", ["column", "table"])
def test_rows_are_verified_with_the_owners_rights(intruder: Intruder, destination: str) -> None:
    intruder.does(CASTS)
    declare(intruder, destination)
    by_backfill(intruder.database)
    intruder.forget()
    with intruder.database.connect() as admin:
        found = admin.execute("SELECT similarity FROM rowvec.verify('app.notes')").fetchall()
    assert [round(similarity, 3) for (similarity,) in found] == [1.0] * 20
    assert intruder.is_where_it_was()
    assert {role for roles in intruder.diary().values() for role in roles} == {intruder.name}


@pytest.mark.parametrize("view", ["status", "progress"])
def test_a_superuser_who_looks_counts_with_the_owners_rights(intruder: Intruder, view: str) -> None:
    declare(intruder)
    intruder.forget()
    assert intruder.ask(f"SELECT rows, pending FROM rowvec.{view}") == [(20, 20)]
    assert intruder.is_where_it_was()
    assert intruder.diary() == {"input": {intruder.name}}
    intruder.does("ALTER TABLE app.notes RENAME TO renamed")
    assert intruder.ask(f"SELECT rows, pending FROM rowvec.{view}") == [(20, 20)]


def test_rows_are_adopted_with_the_owners_rights(intruder: Intruder) -> None:
    declare(intruder)
    by_backfill(intruder.database)
    with intruder.database.connect() as admin:
        admin.execute("SELECT rowvec.drop_embedding('app.notes', keep_columns => true)")
        admin.execute("ALTER TABLE app.notes DROP COLUMN embedding_of")
    intruder.forget()
    declare(intruder)
    assert intruder.is_where_it_was()
    assert "input" in intruder.diary()
    assert {role for roles in intruder.diary().values() for role in roles} == {intruder.name}
