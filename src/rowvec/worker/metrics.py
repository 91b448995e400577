"""What the worker counts, written for Prometheus.

Labels are operations, outcomes and models of the list: never anything that a user sent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

import rowvec
from rowvec.worker.admission import Admission
from rowvec.worker.cache import VectorCache
from rowvec.worker.engine.client import EngineClient
from rowvec.worker.engine.messages import Computed
from rowvec.worker.engine.model_report import Report
from rowvec.worker.resident import resident_bytes

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_BATCH_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 1, 2, 5, 10)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)

# name, help, and where a report has it
_MODEL_COUNTERS: tuple[tuple[str, str, Callable[[Report], float]], ...] = (
    ("model_texts", "Texts that a model computed, cached ones left out", lambda r: r.texts),
    ("model_tokens", "Tokens that a model read", lambda r: r.tokens),
    ("model_padding_tokens", "Tokens that only filled up batches", lambda r: r.padding),
    ("model_zero_vectors", "Vectors of zeros, which cosine indexes skip", lambda r: r.zeros),
    ("model_seconds", "Time that a model computed", lambda r: r.seconds),
)
_MODEL_GAUGES: tuple[tuple[str, str, Callable[[Report], float]], ...] = (
    ("model_loaded", "Whether a model is in memory", lambda r: r.loaded),
    ("model_memory_bytes", "Memory that the engine grew by when it loaded", lambda r: r.memory),
)


_M = TypeVar("_M", Counter, Histogram)


class Metrics:
    """Takes note of what ends; what there is, it asks for when it is read."""

    def __init__(self) -> None:
        # A second series beside every counter, which nothing here needs.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # theirs has no types
        self._registry = CollectorRegistry(auto_describe=False)
        self._series: dict[tuple[Counter | Histogram | str, ...], Counter | Histogram] = {}
        self._requests = Counter(
            "rowvec_requests",
            "Requests that ended: outcome is ok, left (the client did) or a SQLSTATE",
            ("protocol", "operation", "outcome"),
            registry=self._registry,
        )
        self._request_seconds = Histogram(
            "rowvec_request_seconds",
            "Time from a request's arrival to the end of its answer",
            ("protocol", "operation"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._batch_texts = Histogram(
            "rowvec_batch_texts",
            "Texts in a batch",
            ("model",),
            buckets=_TEXTS,
            registry=self._registry,
        )
        self._batch_tokens = Histogram(
            "rowvec_batch_tokens",
            "Tokens in a batch, padding counted",
            ("model",),
            buckets=_TOKENS,
            registry=self._registry,
        )
        self._batch_seconds = Histogram(
            "rowvec_batch_seconds",
            "Time that a batch was computed",
            ("model",),
            buckets=_BATCH_SECONDS,
            registry=self._registry,
        )

    def watch(self, vitals: Vitals) -> None:
        """Adds what is asked for at every reading."""
        self._registry.register(vitals)

    def request_ended(self, protocol: str, operation: str, outcome: str, seconds: float) -> None:
        """Counts a request."""
        self._labelled(self._requests, protocol, operation, outcome).inc()
        self._labelled(self._request_seconds, protocol, operation).observe(seconds)

    def batch_computed(self, batch: Computed) -> None:
        """Counts a batch."""
        self._labelled(self._batch_seconds, batch.model).observe(batch.seconds)
        self._labelled(self._batch_texts, batch.model).observe(batch.texts)
        self._labelled(self._batch_tokens, batch.model).observe(batch.tokens + batch.padding)

    def _labelled(self, metric: _M, *labels: str) -> _M:
        """The series of the labels, remembered: the library looks it up behind a lock."""
        found = self._series.get((metric, *labels))
        if found is None:
            found = self._series[metric, *labels] = metric.labels(*labels)
        return cast("_M", found)

    def page(self, accept: str) -> tuple[bytes, str]:
        """Everything, in the form that the reader accepts, and that form's name."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class Vitals(Collector):
    """What admission, cache and engine say of themselves. `connections` counts by protocol."""

    def __init__(
        self,
        admission: Admission,
        cache: VectorCache,
        engine: EngineClient,
        connections: Callable[[], Mapping[str, int]],
    ) -> None:
        self._admission = admission
        self._cache = cache
        self._engine = engine
        self._connections = connections

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus_client for every reading."""
        yield _gauge("build_info", "The release that runs", 1, version=rowvec.__version__)
        yield from self._queue()
        yield from self._remembered()
        yield _gauge("engine_up", "Whether the engine runs", self._engine.up)
        yield _counter("engine_restarts", "Engines started after one died", self._engine.restarts)
        refused = self._engine.suspects.refused
        yield _gauge("refused_texts", "Texts refused since they ended the engine twice", refused)
        connections = GaugeMetricFamily(
            "rowvec_connections", "Clients that are connected", labels=("protocol",)
        )
        for protocol, count in self._connections().items():
            connections.add_metric((protocol,), count)
        yield connections
        yield from self._models()
        yield self._memory()

    def _queue(self) -> Iterator[Metric]:
        admission = self._admission
        yield _gauge("queue_requests", "Requests admitted and not answered", admission.requests)
        yield _gauge("queue_bytes", "Bytes of these requests and their answers", admission.bytes)
        yield _gauge(
            "queue_oldest_seconds", "Age of the oldest of these requests", admission.oldest_seconds
        )
        yield _counter("admitted_bytes", "Bytes admitted since the start", admission.bytes_ever)

    def _remembered(self) -> Iterator[Metric]:
        cache = self._cache
        yield _counter("cache_hits", "Texts with a remembered vector", cache.hits)
        yield _counter("cache_misses", "Texts without a remembered vector", cache.misses)
        yield _gauge("cache_bytes", "Memory of remembered vectors", cache.bytes)

    def _models(self) -> Iterator[Metric]:
        families: tuple[tuple[Any, Any], ...] = (
            (CounterMetricFamily, _MODEL_COUNTERS),
            (GaugeMetricFamily, _MODEL_GAUGES),
        )
        for family, described in families:
            for name, words, read in described:
                metric = family(f"rowvec_{name}", words, labels=("model",))
                for model, report in self._engine.reports.items():
                    metric.add_metric((model,), read(report))
                yield metric

    def _memory(self) -> Metric:
        metric = GaugeMetricFamily(
            "rowvec_resident_bytes", "Memory of a process", labels=("process",)
        )
        for name, pid in (("listener", os.getpid()), ("engine", self._engine.pid)):
            metric.add_metric((name,), 0 if pid is None else resident_bytes(pid))
        return metric


def _gauge(name: str, words: str, value: float, **labels: str) -> Metric:
    metric = GaugeMetricFamily(f"rowvec_{name}", words, labels=tuple(labels))
    metric.add_metric(tuple(labels.values()), value)
    return metric


def _counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(f"rowvec_{name}", words, value=value)
