"""Standard streams that cannot end a run: where a console is closed, gone or full, its text is lost and the work goes on."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TextIO

from minbert.files import error_from_os


class Output:
    """A stream whose text is thrown away from the first that cannot be written, as when the reader has gone (`| head`)."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.error = stream, None
        if hasattr(stream, "reconfigure"):  # a console that cannot show a character shows "?"
            stream.reconfigure(errors="replace")

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        try:
            return self.stream.write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        try:
            self.stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.error = error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.stream.fileno())  # else what is still in the stream's buffer fails again at the end
        os.close(nowhere)

    def check(self) -> None:
        """Raises MinbertError where text was lost that somebody may have wanted, as on a full disk."""
        self.flush()
        if self.error and not isinstance(self.error, BrokenPipeError):
            raise error_from_os(self.error, "standard output", "write")


@contextmanager
def lasting_streams() -> Iterator[Output]:
    """Puts an Output in place of standard output, which it gives, and of standard error.

    A stream that was closed before the start (`>&-`) becomes the null device, which also takes the stream's number: the next
    file to be opened would get it, and all that is printed.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    output, errors = Output(sys.stdout), Output(sys.stderr)
    with redirect_stdout(output), redirect_stderr(errors):
        try:
            yield output
        finally:
            output.flush()
            errors.flush()


def show_plainly(text: str) -> str:
    """The text without what would move a terminal's cursor or change its colours."""
    return "".join(character if character.isprintable() else "?" for character in text)
