"""The child's side of the process engine: what a worker process does from its first line to its last.

A worker is asked one thing at a time over a socket: `"devices"`, `"describe"`, `("pace", seconds)` or a `Job`. It answers with
tuples: `("begun",)`, then `("reply", answer)` or `("raise", error)`, and, at any time, `("log", level, text)`.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from prunesearch.engines.devices import visible_devices
from prunesearch.engines.lean import leave_compiler_out
from prunesearch.engines.runner import make_runner
from prunesearch.errors import PrunesearchError
from prunesearch.tasks.reference import parse_reference

if TYPE_CHECKING:
    from prunesearch.engines.base import EngineSpec
    from prunesearch.trial import TrialRunner


def main(fd: int) -> None:
    """Serve the parent at the other end of socket `fd` until it is gone; never returns.

    Ctrl-C is the parent's to answer, so it is ignored here. The worker ends with its parent, however that ends: the
    socket is then closed, and a thread that waits for this ends the process in the middle of whatever it does.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # the parent blocked it until it would be ignored
    channel = _Channel(fd)
    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(channel, requests), daemon=True).start()
    logging.captureWarnings(capture=True)
    logging.basicConfig(level=logging.WARNING, handlers=[_ToParent(channel)])
    desk = _Desk(requests.get())
    while True:
        request = requests.get()
        channel.send("begun")
        try:
            channel.send("reply", desk.answer(request))
        except PrunesearchError as error:
            channel.send("raise", error)
        except Exception:  # noqa: BLE001 - whatever it is, the parent has to hear of it
            # As text: the class may live in a file of the user's that the parent cannot import.
            channel.send("raise", RuntimeError(f"in a worker:\n{traceback.format_exc()}"))
        if desk.broken:
            sys.stderr.write("\nerror: the GPU does not answer this process any more\n")
            sys.stderr.flush()
            os._exit(1)  # between two jobs: another process takes its place and finds the GPU well, or not


class _Desk:
    """Answers requests; loads the task when the first one needs it."""

    def __init__(self, spec: EngineSpec) -> None:
        self._spec = spec
        self._runner: TrialRunner | None = None

    def answer(self, request: Any) -> Any:
        if request == "devices":
            return visible_devices(self._spec.device)
        if self._runner is None:
            if not self._spec.plugins and parse_reference(self._spec.task).kind != "python":  # else the user's code may compile
                leave_compiler_out()
            self._runner = make_runner(self._spec)
        match request:
            case "describe":
                return self._runner.describe()
            case ("pace", seconds):
                return self._runner.pace(seconds)
        return self._runner.run(request)

    @property
    def broken(self) -> bool:
        """Whether nothing more can be asked of the device in this process."""
        return self._runner is not None and self._runner.broken


class _Channel:
    """The socket: read by one thread, written by any."""

    def __init__(self, fd: int) -> None:
        self._connection = Connection(fd)
        self._lock = threading.Lock()

    def send(self, *message: object) -> None:
        with self._lock:
            self._connection.send(message)

    def receive(self) -> Any:
        return self._connection.recv()


def _listen(channel: _Channel, requests: queue.SimpleQueue[Any]) -> None:
    while True:
        try:
            requests.put(channel.receive())
        except (EOFError, OSError):
            os._exit(0)


class _ToParent(logging.Handler):
    """Hands log records and warnings to the parent."""

    def __init__(self, channel: _Channel) -> None:
        super().__init__(logging.WARNING)
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        self._channel.send("log", record.levelno, record.getMessage().strip())
