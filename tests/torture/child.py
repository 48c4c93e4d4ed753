"""Work done in a process of its own, so that its death is an answer and not the end of the tests."""

import json
import os
import sys
import traceback
from collections.abc import Callable


def run_in_child(work: Callable[[], object]) -> tuple[object, int]:
    """(what `work` returned, as JSON gives it back; the number of the signal that ended the process, or 0).

    Raises RuntimeError where `work` raised. The child is a copy of this process (fork: not on Windows).
    """
    reader, writer = os.pipe()
    sys.stdout.flush()  # or the child would print it again
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            with os.fdopen(writer, "w", encoding="utf-8") as answer:
                json.dump(work(), answer)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as answer:
        text = answer.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status > 0:
        raise RuntimeError("the work in the child process raised: its traceback stands above")
    return (None, -status) if status else (json.loads(text), 0)
