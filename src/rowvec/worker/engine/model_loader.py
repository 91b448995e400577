"""Loads models into the engine, and says so."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from rowvec.models.backends.variant import AUTOMATIC, Backend, Runtime, Variant
from rowvec.models.loading import compiled, load
from rowvec.models.registry import family
from rowvec.worker.engine.computing import Key
from rowvec.worker.engine.messages import Configure, Loaded, Loading, Message, NotLoaded
from rowvec.worker.engine.preparing import Model


class ModelLoader:
    """Loads in the thread that computes, what was compiled before by another process."""

    def __init__(
        self, configuration: Configure, thread: ThreadPoolExecutor, send: Callable[[Message], None]
    ) -> None:
        self._thread = thread
        self._send = send
        self._specs = {spec.name: spec for spec in configuration.models}
        self._runtimes = {
            name: Runtime(
                measured=configuration.measured.get(name),
                compiled=configuration.compiled,
                threads=configuration.threads,
                device=configuration.device,
            )
            for name in self._specs
        }
        self._chosen: dict[str, Backend] = {}

    def key(self, name: str, variant: Variant) -> Key:
        """Who asks for the backend that is the model's own choice shares it with all others."""
        same = variant == Variant(self._chosen.get(name))
        return Key(name, AUTOMATIC if same else variant)

    def needs(self, key: Key) -> int:
        """About the bytes that a model will take."""
        return self._specs[key.model].memory_bytes()

    async def load(self, key: Key) -> Model:
        """The model, and what there is to know of it said; raises ModelError."""
        name = key.model
        spec = replace(
            self._specs[name], runtime=replace(self._runtimes[name], variant=key.variant)
        )
        ended: Message = NotLoaded(name)
        self._send(Loading(name))
        try:
            loop = asyncio.get_running_loop()
            # Another process compiles; here a thread waits that nothing else needs.
            artifact = await loop.run_in_executor(None, compiled, spec)
            model = await loop.run_in_executor(self._thread, load, spec, artifact)
            await loop.run_in_executor(self._thread, _collect)
            ended = Loaded(
                model=name,
                variant=key.variant,
                dimensions=model.dimensions,
                max_tokens=model.max_tokens,
                memory=self.memory(key, model),
                device=model.device if family(spec.kind).computes_here else None,
                backend=model.backend,
                reason=model.reason,
            )
            if model.backend is not None and key.variant == AUTOMATIC:
                self._chosen[name] = model.backend
        finally:
            self._send(ended)
        return model

    def memory(self, key: Key, model: Model) -> int:
        """Bytes that a loaded model takes."""
        spec = self._specs[key.model]
        if spec.memory is not None:
            return spec.memory
        return spec.memory_bytes() if model.memory_bytes is None else model.memory_bytes

    def tidy(self) -> None:
        """Frees what a dropped model leaves: modules refer to each other in circles."""
        self._thread.submit(_collect)


def _collect() -> None:
    """Frees what is no longer referenced, and lets the collector skip the rest from now on.

    Models and their libraries are many objects that stay: to look through them again and again took
    a twenty-fifth of the processor of a bulk request.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
