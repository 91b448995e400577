"""`rowvec ui` attacked over plain HTTP: by typed filters, by other sites, by what a row holds."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from psycopg import sql

from rowvec.db.viewer import make_viewer
from rowvec.embedded.postgres import PostgresCluster
from rowvec.errors import ConfigError
from rowvec.ui.database import Database as PagesDatabase
from support.commands import Rowvec
from support.pages import serving, token_of, viewer_of
from support.postgres import Database
from support.waiting import eventually
from support.workers import Worker, filled_template

SCRIPT = "<script>alert(1)</script>"


@dataclass
class Pages:
    """The running pages, and what a visitor with a form of theirs gets."""

    url: str
    role: str
    token: str
    database: Database

    def search(self, condition: str, **more: Any) -> httpx.Response:
        given = {"q": "note", "filter": condition, "k": 100, "token": self.token, **more}
        return httpx.get(f"{self.url}embedding/1", params=given, timeout=60)

    def finds(self, condition: str) -> int:
        answer = self.search(condition)
        assert answer.status_code == 200, answer.text
        return answer.text.count('class="score"')

    def notes(self) -> list[Any]:
        with self.database.connect() as connection:
            return connection.execute("SELECT * FROM notes ORDER BY id").fetchall()


def pages_database(dsn: str) -> PagesDatabase:
    return PagesDatabase(dsn, statement_seconds=30)


@pytest.fixture(scope="module")
def pages(
    cluster: PostgresCluster, _template: str, worker: Worker, rowvec: Rowvec
) -> Iterator[Pages]:
    with filled_template(cluster, _template, "rowvec_pages", worker) as database:
        with database.connect() as connection:
            connection.execute(
                "CREATE TABLE notes (id int PRIMARY KEY, body text);"
                "INSERT INTO notes SELECT i, 'note ' || i FROM generate_series(1, 5) AS i;"
                f"INSERT INTO notes VALUES (6, '{SCRIPT}');"
                "CREATE TABLE secrets (word text);"
                "INSERT INTO secrets VALUES ('xyzzy');"
                "CREATE SEQUENCE numbers;"
                "SELECT rowvec.create_embedding('notes', 'stand-in-small', 'body');"
                "CREATE FUNCTION strike() RETURNS bool LANGUAGE sql VOLATILE"
                " AS 'DELETE FROM notes RETURNING true';"
                "CREATE FUNCTION strike_as_owner() RETURNS bool LANGUAGE sql VOLATILE"
                " SECURITY DEFINER AS 'DELETE FROM notes RETURNING true'"
            )
        filled = rowvec("backfill", "notes", ROWVEC_DSN=database.dsn)
        assert filled.returncode == 0, filled.stderr
        with (
            viewer_of(database, "notes") as role,
            serving(database.dsn, "--role", role) as url,
        ):
            yield Pages(url, role, token_of(url), database)


def test_a_filter_filters(pages: Pages) -> None:
    assert pages.finds("id < 4") == 3
    assert pages.finds("id < 4 -- with a remark") == 3


def test_a_map_is_shown_to_who_may_read_it(pages: Pages) -> None:
    with pages.database.connect() as connection:
        # As `rowvec map` leaves it.
        connection.execute(
            "SELECT rowvec._create_derived(1, 'map', 'x real NOT NULL, y real NOT NULL')"
        )
        connection.execute("INSERT INTO notes_map SELECT id, cos(id), sin(id) FROM notes")
        refused = httpx.get(f"{pages.url}embedding/1/map/points")
        make_viewer(connection, pages.role)
        answer = httpx.get(f"{pages.url}embedding/1/map/points")
        connection.execute("DROP TABLE notes_map; DELETE FROM rowvec.derived")
    assert (refused.status_code, answer.status_code) == (422, 200), answer.text
    assert "permission denied for table notes_map" in refused.text
    assert sorted(answer.json()["keys"]) == [1, 2, 3, 4, 5, 6]
    assert len(httpx.get(f"{pages.url}embedding/1/map/similar?key=1").json()) == 5


def test_the_role_that_logged_in_is_all_there_is(pages: Pages) -> None:
    """No role was taken on that a filter could step out of."""
    for role in ("session_user", "current_user"):
        assert pages.finds(f"{role} = '{pages.role}'") == 6
    assert pages.finds("set_config('role', 'none', false) = 'none'") == 6
    assert pages.finds(f"current_user = '{pages.role}'") == 6


@pytest.mark.parametrize("role", ["postgres", "rowvec_caller", "pg_execute_server_program"])
@pytest.mark.parametrize("setting", ["role", "session_authorization"])
def test_no_other_role_can_be_taken_on(pages: Pages, setting: str, role: str) -> None:
    refused = pages.search(f"set_config('{setting}', '{role}', false) is not null")
    assert refused.status_code == 422
    assert "permission denied" in refused.text


@pytest.mark.parametrize(
    ("left", "found"),
    [
        (
            "set_config('default_transaction_read_only', 'off', false) = 'off'",
            "current_setting('default_transaction_read_only') = 'off'",
        ),
        (
            "set_config('statement_timeout', '0', false) = '0'",
            "current_setting('statement_timeout') = '0'",
        ),
        (
            "set_config('search_path', 'pg_catalog', false) is not null",
            "current_setting('search_path') = 'pg_catalog'",
        ),
        ("set_config('my.word', 'x', false) = 'x'", "current_setting('my.word', true) = 'x'"),
        (
            "pg_advisory_lock(4711) is not null",
            "exists (select from pg_locks where locktype = 'advisory' and objid = 4711)",
        ),
        ("setseed(0.5) is not null", "round(random()::numeric, 9) = 0.985681977"),
        ("true", "exists (select from pg_prepared_statements)"),
    ],
)
def test_nothing_of_a_request_is_left_for_the_next(pages: Pages, left: str, found: str) -> None:
    for _ in range(6):  # more than the requests that are served at once
        assert pages.finds(left) == 6
    for _ in range(6):
        assert pages.finds(found) == 0


def test_a_request_ends_its_connection(pages: Pages) -> None:
    pages.finds("true")
    with pages.database.connect() as connection:
        eventually(
            lambda: (
                connection.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rowvec ui'"
                    " AND datname = current_database()"
                ).fetchone()
                == (0,)
            )
        )


def test_a_notification_is_never_sent(pages: Pages) -> None:
    with pages.database.connect() as connection:
        connection.execute("LISTEN gossip")
        assert pages.finds("pg_notify('gossip', 'psst') is not null") == 6
        connection.execute("NOTIFY gossip, 'ours'")
        assert [n.payload for n in connection.notifies(timeout=5, stop_after=1)] == ["ours"]


@pytest.mark.parametrize(
    ("condition", "refusal"),
    [
        ("strike()", "read-only transaction"),
        ("strike_as_owner()", "read-only transaction"),
        ("set_config('transaction_read_only', 'off', true) = 'off'", "read-write mode"),
        (
            "set_config('transaction_read_only', 'on', false) = 'on' and strike_as_owner()",
            "read-only transaction",
        ),
        ("query_to_xml('delete from notes', true, true, '') is not null", "DELETE"),
        ("nextval('numbers') > 0", "permission denied"),
        ("lo_create(4711) > 0", "read-only transaction"),
        ("pg_read_file('/etc/passwd') is not null", "permission denied"),
        ("exists (select from secrets)", "permission denied"),
        ("query_to_xml('select * from secrets', true, true, '') is not null", "permission denied"),
        ("rowvec_dblink.dblink_connect('host=localhost') is not null", "permission denied"),
        ("exists (select from pg_user_mapping)", "permission denied"),
        ("exists (select from rowvec.secret)", "permission denied"),
        ("pg_terminate_backend(0) and pg_reload_conf()", "permission denied"),
    ],
)
def test_a_filter_writes_nothing_and_reads_what_the_role_may(
    pages: Pages, condition: str, refusal: str
) -> None:
    before = pages.notes()
    refused = pages.search(condition)
    assert refused.status_code == 422
    assert refusal in refused.text
    assert pages.notes() == before


@pytest.mark.parametrize(
    "condition",
    [
        "true; DELETE FROM notes",
        "true); DELETE FROM notes; --",
        "true) OR (true",
        "true UNION SELECT 1",
        "true LIMIT 1",
        "true FROM notes; COMMIT; DELETE FROM notes",
        "true /*",
        "'",
        "$a$",
        "id",
        "*",
        "id = (DELETE FROM notes RETURNING id)",
        "(WITH gone AS (DELETE FROM notes RETURNING id) SELECT true)",
        "COPY notes TO PROGRAM 'true'",
        "$1 = 1",
    ],
)
def test_a_filter_is_one_expression(pages: Pages, condition: str) -> None:
    before = pages.notes()
    assert pages.search(condition).status_code == 422
    assert pages.notes() == before


def test_a_filter_has_an_end(pages: Pages) -> None:
    """The timer of a statement that runs is not the one that it sets."""
    seconds = ("--statement-seconds", "2")
    with serving(pages.database.dsn, "--role", pages.role, *seconds) as url:
        hasty = replace(pages, url=url, token=token_of(url))
        refused = hasty.search(
            "set_config('statement_timeout', '0', false) = '0' and pg_sleep(60) is not null"
        )
    assert refused.status_code == 422
    assert "statement timeout" in refused.text


def test_rows_have_a_limit(pages: Pages) -> None:
    for k in ("100000000", "9" * 5000, "-1", "0", "x", "٣"):
        assert pages.search("true", k=k).status_code == 200


ADDRESSES = [
    "", "embeddings", "embedding/1", "embedding/1/similar?key=1", "embedding/1/image?key=1",
    "embedding/1/failures", "embedding/1/recall", "embedding/1/map", "embedding/1/map/points",
    "embedding/1/map/similar?key=1", "score", "static/ui.js", "map_files/map.css", "nothing",
]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-User": "?1"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://[::1"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "evil.example:80@127.0.0.1"},
        {"Host": "[::1"},
        {"Host": ""},
    ],
    ids=str,
)
def test_no_other_site_gets_anything(pages: Pages, address: str, headers: dict[str, str]) -> None:
    answer = httpx.get(pages.url + address, headers=headers)
    assert answer.status_code == 403
    assert "note" not in answer.text


def test_our_own_pages_and_the_address_bar_do(pages: Pages) -> None:
    own = pages.url.rstrip("/")
    for headers in (
        {"Sec-Fetch-Site": "same-origin", "Origin": own},
        {"Sec-Fetch-Site": "none"},
        {"Host": f"localhost:{urlsplit(own).port}"},
        {"Host": "[::1]:80"},
    ):
        assert httpx.get(pages.url, headers=headers).status_code == 200


@pytest.mark.parametrize("token", ["", "guessed", "ключ"])
def test_a_filter_that_an_address_brought_is_shown_and_not_run(pages: Pages, token: str) -> None:
    answer = pages.search("1 / 0 = 1", token=token)
    assert answer.status_code == 403
    assert "press Search to use it" in answer.text
    assert "division by zero" not in answer.text
    assert 'value="1 / 0 = 1"' in answer.text
    assert "division by zero" in pages.search("1 / 0 = 1").text


def test_a_text_is_scored_for_a_form_of_ours_only(pages: Pages) -> None:
    form = {"model": "stand-in-small", "first": "a", "second": "b", "text": "c"}
    assert httpx.post(f"{pages.url}score", data=form).status_code == 403
    assert httpx.post(f"{pages.url}score", data=form | {"token": pages.token}).status_code == 200


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_is_no_get_is_refused(pages: Pages, address: str) -> None:
    for method in ("PUT", "DELETE", "PATCH", "TRACE", *(() if address == "score" else ("POST",))):
        assert httpx.request(method, pages.url + address).status_code in {404, 405}


@pytest.mark.parametrize("address", ADDRESSES)
def test_headers_that_keep_others_out(pages: Pages, address: str) -> None:
    for headers in ({}, {"Sec-Fetch-Site": "cross-site"}):
        found = httpx.get(pages.url + address, headers=headers).headers
        policy = found["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert found["X-Content-Type-Options"] == "nosniff"
        assert found["X-Frame-Options"] == "DENY"
        assert found["Cross-Origin-Resource-Policy"] == "same-origin"
        assert found["Referrer-Policy"] == "same-origin"
        assert found["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in found


@pytest.mark.parametrize(
    "address",
    ["embedding/1/similar?key=1", "embedding/1/map/points", "embedding/1?q=note"],
)
def test_a_row_that_holds_script_is_text(pages: Pages, address: str) -> None:
    answer = httpx.get(pages.url + address)
    assert SCRIPT not in answer.text
    assert answer.headers["Content-Type"].startswith(("text/html", "application/json"))


@pytest.mark.parametrize(
    "given", [{"q": SCRIPT}, {"q": "x", "filter": SCRIPT}, {"q": "x", "k": SCRIPT}]
)
def test_what_an_address_holds_is_text(pages: Pages, given: dict[str, str]) -> None:
    assert SCRIPT not in httpx.get(f"{pages.url}embedding/1", params=given).text


@pytest.mark.parametrize("key", ["1; DELETE FROM notes", '"1"); DELETE FROM notes; --"', "[1]", ""])
@pytest.mark.parametrize("address", ["similar", "image", "map/similar"])
def test_a_key_is_a_value(pages: Pages, address: str, key: str) -> None:
    before = pages.notes()
    answer = httpx.get(f"{pages.url}embedding/1/{address}", params={"key": key})
    assert answer.status_code == 422
    assert pages.notes() == before


def test_bytes_that_are_no_http_end_their_connection(pages: Pages) -> None:
    where = urlsplit(pages.url)
    assert where.hostname is not None
    with socket.create_connection((where.hostname, where.port or 0), timeout=10) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 400")
    assert httpx.get(pages.url).status_code == 200


@pytest.fixture
def viewer(migrated_database: Database) -> Iterator[str]:
    with migrated_database.connect() as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, body text); CREATE SEQUENCE s")
    with viewer_of(migrated_database, "t") as name:
        yield name


GIVEN = {
    "it is a superuser": ("ALTER ROLE {role} SUPERUSER", "ALTER ROLE {role} NOSUPERUSER"),
    "CREATEROLE": ("ALTER ROLE {role} CREATEROLE", ""),
    "CREATEDB": ("ALTER ROLE {role} CREATEDB", ""),
    "REPLICATION": ("ALTER ROLE {role} REPLICATION", ""),
    "BYPASSRLS": ("ALTER ROLE {role} BYPASSRLS", ""),
    **{
        f"a member of {name}": (f"GRANT {name} TO {{role}}", "")
        for name in (
            "pg_write_all_data", "pg_execute_server_program", "pg_write_server_files",
            "pg_read_server_files", "pg_read_all_data", "pg_signal_backend", "pg_checkpoint",
        )
    },
    "its role rowvec_caller": ("GRANT rowvec_caller TO {role}", ""),
    "may grant the role rowvec_user": ("GRANT rowvec_user TO {role} WITH ADMIN OPTION", ""),
    "owns table public.t": ("ALTER TABLE t OWNER TO {role}", "ALTER TABLE t OWNER TO postgres"),
    "owns schema x": ("CREATE SCHEMA x AUTHORIZATION {role}", ""),
    "owns function public.f()": ("{f}; ALTER FUNCTION f() OWNER TO {role}", ""),
    "owns database": (
        "ALTER DATABASE {database} OWNER TO {role}", "ALTER DATABASE {database} OWNER TO postgres"
    ),
    "INSERT on table public.t": ("GRANT INSERT ON t TO {role}", ""),
    "UPDATE on table public.t": ("GRANT UPDATE ON t TO {role}", ""),
    "DELETE on table public.t": ("GRANT DELETE ON t TO {role}", ""),
    "TRUNCATE on table public.t": ("GRANT TRUNCATE ON t TO {role}", ""),
    "TRIGGER on table public.t": ("GRANT TRIGGER ON t TO {role}", ""),
    "REFERENCES on table public.t": ("GRANT REFERENCES ON t TO {role}", ""),
    "UPDATE on column public.t.body": ("GRANT UPDATE (body) ON t TO {role}", ""),
    "USAGE on table public.s": ("GRANT USAGE ON SEQUENCE s TO {role}", ""),
    "everybody has INSERT on table public.t": ("GRANT INSERT ON t TO PUBLIC", ""),
    "everybody has CREATE on schema public": ("GRANT CREATE ON SCHEMA public TO PUBLIC", ""),
    "CREATE on schema public": ("GRANT CREATE ON SCHEMA public TO {role}", ""),
    "CREATE on database": ("GRANT CREATE ON DATABASE {database} TO {role}", ""),
    "USAGE on server": ("GRANT USAGE ON FOREIGN SERVER rowvec_worker TO {role}", ""),
    "USAGE on foreign-data wrapper": (
        "GRANT USAGE ON FOREIGN DATA WRAPPER dblink_fdw TO {role}", ""
    ),
    "SET on parameter session_replication_role": (
        "GRANT SET ON PARAMETER session_replication_role TO {role}", ""
    ),
    "EXECUTE on function pg_read_file(text)": (
        "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO {role}", ""
    ),
    "may call dblink": ("GRANT USAGE ON SCHEMA rowvec_dblink TO {role}", ""),
    "UPDATE on large object": (
        "SELECT lo_create(4711); GRANT UPDATE ON LARGE OBJECT 4711 TO {role}", ""
    ),
}  # fmt: skip


@pytest.mark.parametrize("reason", GIVEN)
def test_the_page_starts_for_nobody_who_could_do_more_than_read(
    migrated_database: Database, viewer: str, reason: str
) -> None:
    given, taken = (text.format(
        role=viewer, database=migrated_database.name,
        f="CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ) for text in GIVEN[reason])  # fmt: skip
    pages = pages_database(migrated_database.cluster.dsn(migrated_database.name, viewer))
    pages.check()
    with migrated_database.connect() as connection:
        connection.execute(given.encode())
        try:
            with pytest.raises(ConfigError) as raised:
                pages.check()
        finally:
            connection.execute(taken.encode() or b"SELECT")
    assert str(raised.value).startswith(f"{viewer} could do more than read: ")
    assert reason in str(raised.value).replace(f"database {migrated_database.name}", "database")
    assert "rowvec viewer NAME" in (raised.value.hint or "")


@pytest.mark.parametrize(
    "how", ["", " WITH INHERIT FALSE, SET TRUE", " WITH ADMIN TRUE, SET FALSE"]
)
def test_nor_for_who_could_become_such_a_role(
    migrated_database: Database, viewer: str, how: str
) -> None:
    """Two steps away, inherited or not: SET ROLE would do, or a grant before it."""
    with migrated_database.connect() as connection:
        names = [sql.Identifier(f"{viewer}_{n}") for n in (1, 2)]
        for name in names:
            connection.execute(sql.SQL("CREATE ROLE {}").format(name))
        connection.execute(sql.SQL("GRANT DELETE ON t TO {}").format(names[1]))
        connection.execute(sql.SQL("GRANT {} TO {}").format(names[1], names[0]))
        connection.execute(
            sql.SQL("GRANT {} TO {}").format(names[0], sql.Identifier(viewer)) + sql.SQL(how)
        )
        try:
            with pytest.raises(ConfigError, match=r"its role .*_2 has DELETE on table public\.t"):
                pages_database(
                    migrated_database.cluster.dsn(migrated_database.name, viewer)
                ).check()
        finally:
            for name in names:
                connection.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(name))


def test_a_superuser_is_told_what_to_run(rowvec: Rowvec, migrated_database: Database) -> None:
    refused = rowvec("ui", "--listen", "127.0.0.1:0", "--dsn", migrated_database.dsn)
    assert refused.returncode == 2
    assert "postgres could do more than read: it is a superuser" in refused.stderr
    assert "`rowvec viewer NAME`" in " ".join(refused.stderr.split())


def test_the_command_makes_a_role_that_is_good_enough(
    rowvec: Rowvec, migrated_database: Database, tmp_path: Path
) -> None:
    name, file = f"lookout_{migrated_database.name}", tmp_path / "password"
    with migrated_database.connect() as connection:
        connection.execute(
            'CREATE SCHEMA "Other"; CREATE TABLE "Other"."Notes" (id int PRIMARY KEY, body text)'
        )
        arguments = ("viewer", name, '"Other"."Notes"', "--dsn", migrated_database.dsn)
        done = rowvec(*arguments, "--role-password-file", file)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{name} may read: Other.Notes\n"
        assert file.stat().st_mode & 0o777 == 0o600
        assert len(file.read_text().strip()) > 30
        (kept,) = connection.execute(
            "SELECT rolpassword FROM pg_authid WHERE rolname = %s", (name,)
        ).fetchone() or ("",)
        assert kept.startswith("SCRAM-SHA-256$")
        assert rowvec(*arguments).returncode == 0  # once more
        dsn = migrated_database.cluster.dsn(migrated_database.name, name)
        pages_database(dsn).check()
        with psycopg.connect(dsn) as theirs:
            assert theirs.execute('SELECT count(*) FROM "Other"."Notes"').fetchone() == (0,)
        connection.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(name)))


def test_the_command_changes_nothing_of_a_role_that_could_write(
    migrated_database: Database, viewer: str
) -> None:
    with migrated_database.connect() as connection:
        connection.execute("CREATE TABLE u (id int)")
        connection.execute(sql.SQL("GRANT DELETE ON t TO {}").format(sql.Identifier(viewer)))
        with pytest.raises(ConfigError, match=r"has DELETE on table t"):
            make_viewer(connection, viewer, ["u"])
        assert connection.execute(
            "SELECT has_table_privilege(%s, 'u', 'SELECT')", (viewer,)
        ).fetchone() == (False,)
