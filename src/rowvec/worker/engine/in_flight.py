"""A request on its way to the engine and back, be it by way of several engines."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from rowvec.errors import RowvecError, from_sqlstate
from rowvec.worker.engine.black_box import fingerprint
from rowvec.worker.engine.engine_line import EngineLine
from rowvec.worker.engine.frames import in_frames
from rowvec.worker.engine.messages import (
    Answer,
    EngineRequest,
    Failed,
    ModelRequest,
    MoreInputs,
    Part,
    Reply,
)

# The rows that belong to an answer in order, some in each piece.
Rows = list[bytes]


@dataclass(eq=False)
class InFlight:
    """A request that the engine has or will have.

    `deaths` are the engines that ended while they worked on it, `alone` the places of texts that
    are suspected for it. `line` is where it was sent, `parts` what came back so far.
    """

    request: EngineRequest
    future: asyncio.Future[tuple[Answer, Rows]]
    alone: list[int] = field(default_factory=list)
    marks: list[bytes] | None = None
    line: EngineLine | None = None
    parts: Rows = field(default_factory=list)
    deaths: int = 0

    @property
    def model(self) -> str | None:
        """The model that it is for, if it is for one."""
        return self.request.model if isinstance(self.request, ModelRequest) else None

    def find_marks(self, salt: bytes) -> list[bytes]:
        """What the engine knows its texts by."""
        request = self.request
        if not isinstance(request, ModelRequest):
            return []
        prompt = request.encoding.prompt
        return [fingerprint(salt, request.model, prompt, text) for text in request.inputs]

    async def send(self, number: int, line: EngineLine | None) -> None:
        """Sends it to the current engine, once; a large one frame by frame."""
        if line is None or line is self.line or self.future.done():
            return
        self.line = line
        self.parts.clear()
        *begun, last = in_frames(self.request.inputs)
        for inputs in begun:
            line.write(MoreInputs(number, inputs))
            await asyncio.sleep(0)
        request = replace(self.request, inputs=last) if begun else self.request
        request.number = number
        if isinstance(request, ModelRequest):
            request.alone = self.alone
        line.write(request)

    def take(self, reply: Reply, blob: bytes) -> None:
        """What the engine replied."""
        if self.future.done():
            return
        match reply:
            case Part():
                self.parts.append(blob)
            case Answer():
                self.future.set_result((reply, [*self.parts, blob]))
            case Failed(_, sqlstate, message, hint, input_number):
                self.fail(from_sqlstate(sqlstate, message, hint, input_number=input_number))

    def fail(self, error: RowvecError) -> None:
        """Ends it with an error, where it has not ended yet."""
        if not self.future.done():
            self.future.set_exception(error)
