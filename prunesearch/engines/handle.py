"""The parent's side of one worker process: start it, ask it, notice its death."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import Any

from prunesearch.engines.base import EngineSpec
from prunesearch.results import Job

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Set to 1 in every worker before it starts: two workers with two threads each on two cores run at 0.1 to 0.8 times
the speed of two with one thread."""

# The child sees the modules that the parent sees, and not what lies in the current folder under a library's name.
_START = """import sys, json
sys.path[:] = json.loads(sys.argv[2])
from prunesearch.engines.worker import main
main(int(sys.argv[1]))"""
_TAIL = 8192  # bytes of its output that are remembered to explain a death

Log = Callable[[int, str], None]


class WorkerDied(Exception):
    """The process ended before it answered.

    Args:
        reason: how, in one line.
        begun: whether it had taken up what it was asked.
    """

    def __init__(self, reason: str, begun: bool) -> None:
        super().__init__(reason)
        self.begun = begun


class Worker:
    """One worker process. Used by one thread at a time; `kill` may be called from any.

    Args:
        index: its number, in messages.
        spec: what it is to load; the task is loaded with the first request that needs it.
        log: called with a logging level and a text for whatever the worker has to tell.

    Attributes:
        finished: jobs that it has finished.
        known: whether it has told what task it has loaded; its user's to set.
    """

    def __init__(self, index: int, spec: EngineSpec, log: Log) -> None:
        self.index = index
        self.finished = 0
        self.known = False
        self._log = log
        self._tail = b""
        self._begun = False
        ours, theirs = socket.socketpair()
        output, theirs_to_write = os.pipe()
        try:
            self._process = _spawn(theirs.fileno(), theirs_to_write)
        except OSError:
            ours.close()
            os.close(output)
            raise
        finally:
            theirs.close()
            os.close(theirs_to_write)
        self._channel = Connection(ours.detach())
        self._output = output
        self._open: list[Connection | int] = [self._channel, output]
        self._send(spec)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process is still there."""
        return self._process.poll() is None

    def ask(self, request: Any) -> Any:
        """Its answer to `"devices"`, `"describe"`, `("pace", seconds)` or a `Job`; waits as long as that takes.

        Raises:
            WorkerDied: it ended before it answered.
            Exception: what went wrong in answering, in the worker.
        """
        if isinstance(request, Job):
            request = replace(request, known_latency=dict(request.known_latency))
        self._begun = False
        self._send(request)
        try:
            return self._answer(request)
        except KeyboardInterrupt:
            self.kill()  # its answer would be taken for that to the next request
            raise

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def bury(self) -> None:
        """Kill it and give its resources back."""
        self.kill()
        self._process.wait()
        self._channel.close()
        os.close(self._output)

    def _answer(self, request: Any) -> Any:
        while True:
            match self._receive():
                case ("reply", answer):
                    self.finished += isinstance(request, Job)
                    return answer
                case ("raise", error):
                    raise error
                case ("begun",):
                    self._begun = True
                case ("log", level, text):
                    self._log(level, text)

    def _send(self, message: Any) -> None:
        try:
            self._channel.send(message)
        except OSError:
            raise WorkerDied(self._obituary(), self._begun) from None

    def _receive(self) -> Any:
        """The next message, with its output read along the way, so that it never waits for us to do so."""
        while True:
            ready = wait(self._open, timeout=1.0)
            if self._output in ready:
                self._read_output()
            if self._channel in ready:
                try:
                    return self._channel.recv()
                except (EOFError, OSError):
                    raise WorkerDied(self._obituary(), self._begun) from None
            # Its socket stays open beyond its death where somebody that it forked (a loader's worker) still has it.
            elif not self.alive and not self._channel.poll():
                raise WorkerDied(self._obituary(), self._begun)

    def _read_output(self) -> None:
        chunk = os.read(self._output, 65536)
        if not chunk:
            self._open.remove(self._output)
        self._tail = (self._tail + chunk)[-_TAIL:]
        for line in chunk.decode(errors="replace").splitlines():
            self._log(logging.INFO, line)

    def _obituary(self) -> str:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return f"worker {self.index} (process {self.pid}) closed its socket"
        while self._output in self._open and wait([self._output], timeout=0.2):
            self._read_output()
        said = _last_words(self._tail.decode(errors="replace"))
        return f"worker {self.index} (process {self.pid}) {_cause(code)}" + (f"; it said: {said}" if said else "")


def _spawn(channel: int, output: int) -> subprocess.Popen[bytes]:
    """The process, with the file `channel` open in it. It starts with Ctrl-C blocked, as this thread has it here."""
    command = [sys.executable, "-X", "faulthandler", "-P", "-c", _START, str(channel), json.dumps(sys.path)]
    env = {**os.environ, **dict.fromkeys(THREADS, "1")}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=(channel,), env=env)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _cause(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    by_hand = ", by the system when memory runs out, or by hand" if name == "SIGKILL" else ""
    return f"was killed by {name}{by_hand}"


def _last_words(text: str) -> str:
    """The last line that names an error, else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if any(word in line.lower() for word in ("error", "fatal", "killed", "out of memory"))]
    return (telling or lines or [""])[-1][:300]
