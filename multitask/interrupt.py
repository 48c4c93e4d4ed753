"""Ctrl-C, SIGTERM, a closed terminal and the time limit end a run where nothing is lost: after a step, with its state saved."""

import _thread
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from multitask import processes

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
ECHO = 5.0  # seconds in which torchrun passes on to its processes the signal that they have got themselves
LIMIT = "the time limit is reached"
RESERVE = 60.0  # seconds before the time limit, or a quarter of it: for the step being taken, and for saving


class Stopped(KeyboardInterrupt):
    """The run was asked to end. `exit_code` is 0 at the time limit, else 128 and the signal's number: 130 after Ctrl-C."""

    def __init__(self, reason: str, exit_code: int) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


class Interrupt:
    """Inside `with Interrupt():` a signal raises Stopped; inside its `deferred()` the first one is only remembered.

    `deadline` is the moment of time.monotonic() at which the time limit ends, None without one. Outside the main thread,
    where Python lets nobody handle signals, nothing is changed.
    """

    def __init__(self, deadline: float | None = None) -> None:
        self.deadline, self.asked, self.asked_at, self.waits = deadline, None, 0.0, False
        self.timer: threading.Timer | None = None
        self.due = math.inf  # when the timer goes off

    def __enter__(self) -> "Interrupt":
        self.earlier = {}
        if threading.current_thread() is not threading.main_thread():
            return self
        for name in SIGNALS:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number and signal.getsignal(number) != signal.SIG_IGN:  # as after nohup
                self.earlier[number] = signal.signal(number, self.handle)
        if self.deadline is not None:
            left = self.deadline - time.monotonic()
            self.due = self.deadline - min(RESERVE, left / 4)
            self.timer = threading.Timer(max(0.0, self.due - time.monotonic()), self.expire)
            self.timer.daemon = True
            self.timer.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if self.timer:
            self.timer.cancel()
        for number, handler in self.earlier.items():
            signal.signal(number, handler)
        if isinstance(error, processes.Ended) and time.monotonic() > self.due - ECHO:  # whose clock was a little ahead
            raise Stopped(LIMIT, 0) from error

    def expire(self) -> None:
        """The timer's thread can raise nothing in the main one: a signal does, and says what it means by `deadline`."""
        self.deadline = 0.0
        _thread.interrupt_main(signal.SIGTERM)

    def handle(self, number: int, frame: object) -> None:
        """What a signal does: it raises Stopped, or leaves it in `asked`."""
        if number == signal.SIGTERM and self.deadline == 0.0:
            stopped = Stopped(LIMIT, 0)
        else:
            stopped = Stopped(signal.Signals(number).name, 128 + number)
        now = time.monotonic()
        again = self.asked and (processes.count() == 1 or now - self.asked_at > ECHO)
        if not self.waits or again:  # a second signal does not wait
            raise stopped
        if not self.asked:
            self.asked, self.asked_at = stopped, now

    def asked_anywhere(self) -> Stopped | None:
        """`asked`, and with several processes also where another one was asked: all must stop after the same step."""
        code = processes.largest(self.asked.exit_code if self.asked else -1)
        if code < 0:
            return None
        return self.asked or Stopped("another process was asked to end", code)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Inside, the first signal sets `asked` and no more. The block looks at it where it may end."""
        self.waits = True
        try:
            yield
        finally:
            self.waits = False
