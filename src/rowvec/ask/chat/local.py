"""A language model in this process, by transformers: a folder of its files, or one GGUF file."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rowvec.errors import ConfigError, ModelError


class LocalChat:
    """A causal language model from disk. No code of the model is run, nothing is downloaded."""

    def __init__(self, path: Path) -> None:
        folder, file = (path.parent, path.name) if path.is_file() else (path, None)
        if not folder.is_dir():
            raise ConfigError(f"{path} is neither a model's folder nor a GGUF file")
        if importlib.util.find_spec("transformers") is None:
            raise ConfigError("transformers is not installed", hint="pip install 'rowvec[worker]'")
        if file is not None and importlib.util.find_spec("gguf") is None:
            raise ConfigError("gguf is not installed", hint="pip install 'rowvec[gguf]'")
        # They take seconds to import.
        from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415
        from transformers.utils import logging  # noqa: PLC0415

        logging.disable_progress_bar()
        given: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        if file is not None:
            given["gguf_file"] = file
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, **given)
            self._model: Any = AutoModelForCausalLM.from_pretrained(
                folder, use_safetensors=True, **given
            ).eval()
        except (OSError, ValueError, KeyError) as exc:
            # Their messages have several lines; the first says what is wrong.
            reason = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
            raise ModelError(f"the language model in {path} cannot be loaded: {reason}") from exc

    def stream(self, prompt: str, max_tokens: int) -> Iterator[str]:
        """The answer as it is computed, always the most likely token."""
        from transformers import TextIteratorStreamer  # noqa: PLC0415

        inputs = self._tokenize(prompt)
        streamer = TextIteratorStreamer(self._tokenizer, skip_prompt=True, skip_special_tokens=True)
        # The library's way to stream: it computes in a thread of its own, and we read beside it.
        with ThreadPoolExecutor(1, "generate") as threads:
            done: Future[Any] = threads.submit(
                self._model.generate,
                **inputs,
                streamer=streamer,
                max_new_tokens=max_tokens,
                do_sample=False,
                pad_token_id=self._tokenizer.pad_token_id or self._tokenizer.eos_token_id,
            )
            # Also if it failed: otherwise the stream would never end.
            done.add_done_callback(lambda _: streamer.text_queue.put(streamer.stop_signal))
            yield from streamer
            done.result()

    def _tokenize(self, prompt: str) -> Any:
        if not self._tokenizer.chat_template:
            return self._tokenizer(prompt, return_tensors="pt")
        return self._tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
