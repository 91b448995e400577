"""The settings of every process, read once and passed down; the one reader of the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

import platformdirs
from pydantic import ByteSize, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from rowvec import logs
from rowvec.errors import ConfigError, reason

PREFIX = "ROWVEC_"

# libpq reads these itself: where one is set, an empty DSN already says where the database is.
_LIBPQ_VARIABLES = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE")


def default_data_dir() -> Path:
    """Where `rowvec up` keeps its cluster: the user's data folder, /var/lib/rowvec for root.

    Root's home stays closed to the system user that Postgres runs as, hence not below it.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/rowvec")
    return platformdirs.user_data_path("rowvec", appauthor=False)


def default_cache_dir() -> Path:
    """Where what is derived from models is kept: the user's cache, /var/cache/rowvec for root."""
    if os.geteuid() == 0:
        return Path("/var/cache/rowvec")
    return platformdirs.user_cache_path("rowvec", appauthor=False)


class Settings(BaseSettings):
    """Every setting with its meaning; the flag, the variable ROWVEC_<NAME> and this are one.

    Precedence: flag, environment, default. `Settings.build` turns a bad value into a ConfigError
    that names the variable.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    dsn: str | None = Field(None, description="database, as a libpq URI or connection string")
    owner_dsn: str | None = Field(
        None,
        description="the same database, for what only owners of tables may: jobs build indexes on"
        " pending rows and vacuum with it (default: dsn)",
    )
    data: Path = Field(
        default_factory=default_data_dir,
        description="folder of the embedded Postgres and its worker (`rowvec up`)",
    )
    worker: str | None = Field(
        None,
        description="worker that jobs use, as a libpq URI or connection string "
        "(default: the server entry of the database)",
    )

    listen: str = Field(
        "127.0.0.1:5466",
        description="where the worker listens: HOST:PORT, or an absolute folder for a unix socket",
    )
    models: Path | None = Field(None, description="models.toml: which models may be loaded")
    password_file: Path | None = Field(
        None,
        description="file with the worker's password; the worker accepts every line of it, clients"
        " use the first",
    )
    tls_cert_file: Path | None = Field(None, description="certificate (PEM) for TLS")
    tls_key_file: Path | None = Field(None, description="key (PEM) for TLS")
    tls_required: bool = Field(default=False, description="refuse clients without TLS")
    http_listen: str | None = Field(
        None,
        description="where the worker answers HTTP: HOST:PORT, beyond this machine only with"
        " api_key_file; not at all when not given",
    )
    api_key_file: Path | None = Field(
        None, description="file with the API keys of HTTP clients, one a line"
    )
    http_timeout_seconds: float = Field(
        60, gt=0, description="deadline of an HTTP request that names none"
    )
    log_format: logs.Format = Field(
        "text", description="form of the worker's log lines: text, or json for programs"
    )

    max_connections: int = Field(256, ge=1, description="connections the worker accepts")
    max_requests: int = Field(1024, ge=1, description="requests admitted at once")
    max_queue_bytes: int = Field(256 << 20, ge=1, description="bytes of text admitted at once")
    max_request_bytes: int = Field(64 << 20, ge=1024, description="bytes of one request")
    max_input_bytes: int = Field(8 << 20, ge=1, description="bytes of one text")
    max_image_bytes: int = Field(16 << 20, ge=1, description="bytes of one image")
    max_image_pixels: int = Field(50_000_000, ge=1, description="pixels of one image")
    max_batch_tokens: int = Field(
        2048, ge=16, description="tokens of one forward pass, padding counted"
    )
    max_batch_seconds: float = Field(
        0.3,
        gt=0,
        description="time of one forward pass: a model that is slower gets fewer tokens at once",
    )
    cache_bytes: int = Field(64 << 20, ge=0, description="memory for vectors of repeated texts")
    threads: int | None = Field(
        None,
        ge=1,
        description="threads of a forward pass (default: the processors that the machine or the"
        " container grants)",
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d{1,2})?)$",
        description="where models are computed: auto (CUDA where torch sees it, else the CPU), cpu,"
        " cuda, cuda:N or mps",
    )
    memory_budget: ByteSize | None = Field(
        None,
        description="memory for models, as 4GB or 500MiB: the least recently used one goes when"
        " another needs the memory (default: no limit)",
    )
    cache_dir: Path = Field(
        default_factory=default_cache_dir,
        description="folder for exported models and measurements, which may be removed any time",
    )
    idle_timeout_seconds: float = Field(
        900, gt=0, description="the worker closes a connection that is idle for longer"
    )
    login_timeout_seconds: float = Field(
        10, gt=0, description="the worker closes a connection that has not logged in by then"
    )
    engine_stall_seconds: float = Field(
        10,
        gt=0,
        description="after a request's deadline, the engine is restarted when it gets nothing done"
        " for so long",
    )
    engine_refuse_seconds: float = Field(
        600, gt=0, description="how long a text that ended the engine twice is refused"
    )
    shutdown_grace_seconds: float = Field(
        10, ge=0, description="time for accepted requests to finish after SIGTERM"
    )

    ui_listen: str = Field("127.0.0.1:8467", description="where `rowvec ui` listens: HOST:PORT")
    ui_password_file: Path | None = Field(
        None, description="file with the password of `rowvec ui`, needed beyond this machine"
    )
    ui_role: str | None = Field(
        None,
        description="role that `rowvec ui` logs in as, which may only read"
        " (default: that of the database; with `rowvec up`, rowvec_viewer)",
    )
    ui_role_password_file: Path | None = Field(
        None, description="file with the password of that role, where the server asks for one"
    )

    ui_statement_seconds: float = Field(
        30, gt=0, description="`rowvec ui` ends a statement that runs for longer"
    )

    sync: bool = Field(
        default=True, description="`rowvec up` runs a `rowvec sync` beside the worker"
    )
    sync_connections: int = Field(
        4,
        ge=3,
        description="connections of a sync to the database at most, however many embeddings it"
        " keeps: one fills, one finds the worker, the others build indexes",
    )
    image_folder: Path | None = Field(
        None, description="folder that the paths of image files are relative to"
    )
    commit_rows: int = Field(
        512,
        ge=1,
        le=100_000,
        description="rows computed and not yet committed, at most: half are written in a"
        " transaction while the model computes the others",
    )
    max_rows_per_second: float | None = Field(
        None, gt=0, description="rows a backfill embeds a second at most (default: no limit)"
    )
    lease_seconds: float = Field(
        300, gt=0, description="a job that hangs for longer loses the key range it works on"
    )
    worker_wait_seconds: float = Field(
        60, ge=0, description="how long a job waits for a worker that is down"
    )

    @field_validator("data", "cache_dir")
    @classmethod
    def _is_absolute(cls, value: Path) -> Path:
        # It ends up in DSNs and in processes with another working directory.
        return Path(os.path.abspath(value.expanduser()))  # noqa: PTH100 - resolve() follows links

    @model_validator(mode="after")
    def _tls_files_come_in_pairs(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_cert_file and tls_key_file are given together or not at all")
        if self.tls_required and self.tls_cert_file is None:
            raise ValueError("tls_required needs tls_cert_file and tls_key_file")
        return self

    @classmethod
    def build(cls, **given: Any) -> Self:
        """Settings from flags (None means not given), then the environment, then defaults.

        Raises ConfigError with one sentence a bad value, naming the variable.
        """
        try:
            return cls(**{k: v for k, v in given.items() if v is not None})
        except ValidationError as exc:
            raise ConfigError(
                "; ".join(
                    f"{PREFIX}{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}"
                    if e["loc"]
                    else str(e["msg"]).removeprefix("Value error, ")
                    for e in exc.errors()
                ),
                hint=cls._described(exc),
            ) from exc

    @classmethod
    def _described(cls, error: ValidationError) -> str | None:
        """What the settings mean that were refused by themselves."""
        names = dict.fromkeys(str(e["loc"][0]) for e in error.errors() if e["loc"])
        said = [cls.model_fields[name].description for name in names if name in cls.model_fields]
        return "; ".join(one for one in said if one) or None

    def password(self) -> SecretStr:
        """The worker's password, from `password_file`; raises ConfigError."""
        return read_secret(self.secret_file())

    def secret_file(self) -> Path:
        """`password_file`; raises ConfigError where it is not given."""
        if self.password_file is None:
            raise ConfigError(
                "no password file for the worker",
                hint=f"give --password-file or set {PREFIX}PASSWORD_FILE",
            )
        return self.password_file


def read_secret(path: Path) -> SecretStr:
    """A secret from the first line of a file; raises ConfigError."""
    return read_secrets(path)[0]


def read_secrets(path: Path) -> list[SecretStr]:
    """The secrets of a file, one a line, at least one; raises ConfigError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"cannot read the secret in {path}: {reason(exc)}") from exc
    if not lines or not lines[0]:
        raise ConfigError(f"the secret in {path} is empty")
    return [SecretStr(line) for line in lines if line]


def libpq_environment_is_set() -> bool:
    """Whether a PG* variable already says where the database is."""
    return any(name in os.environ for name in _LIBPQ_VARIABLES)


def child_environment(settings: Settings) -> dict[str, str]:
    """The environment of a process of ours that gets these settings and no others."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)} | {
        f"{PREFIX}{name.upper()}": value.get_secret_value()
        if isinstance(value, SecretStr)
        else str(value)
        for name, value in given.items()
        if value is not None
    }


def other_users_environment(home: str) -> dict[str, str]:
    """The environment of a program that another user runs: what is in our home is not its own."""
    return {**os.environ, "HOME": home}


def engine_environment(threads: int | None) -> dict[str, str]:
    """The environment of a process that computes: models come from disk only."""
    environment = dict(os.environ)
    environment.update(
        HF_HUB_OFFLINE="1",
        TRANSFORMERS_OFFLINE="1",
        HF_HUB_DISABLE_TELEMETRY="1",
        TOKENIZERS_PARALLELISM="true",
    )
    # Turns that a thread of torch's waits before it sleeps. Its default, some milliseconds, burnt a
    # tenth of the processor when other processes had work; with this torch is as fast.
    environment.setdefault("GOMP_SPINCOUNT", "2000")
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    return environment
