"""A console that is closed, gone, full or poor costs its text and never the work."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minbert.console import Output, lasting_streams, show_plainly
from minbert.files import MinbertError

PACKAGE = Path(__file__).parents[1] / "minbert"
WORK = """
import sys, types
sys.modules["minbert"] = types.ModuleType("minbert")  # without what minbert/__init__.py imports, which takes seconds
sys.modules["minbert"].__path__ = [sys.argv[2]]
from minbert.console import lasting_streams
with lasting_streams() as output:
    for number in range(20_000):
        print("a line of text", number, flush=number % 100 == 0)
    print("not lost", file=sys.stderr)
    first = open(sys.argv[1], "w")
    print("the work is done", file=first)
    first.close()
    try:
        output.check()
    except Exception as error:
        sys.exit(f"{error}")
"""


def work(folder: Path, redirections: str) -> tuple[int, str, str]:
    """(exit status, standard error, the file that the work leaves) of a program that prints much and then does its work."""
    (folder / "work.py").write_text(WORK, encoding="utf-8")
    command = f'exec "{sys.executable}" work.py done "{PACKAGE}" {redirections}'
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=folder, capture_output=True, text=True, timeout=60,
                          env={"PATH": os.environ["PATH"]})  # an unbuffered Python would have nothing left to lose at the end
    return done.returncode, done.stderr, (folder / "done").read_text(encoding="utf-8")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a POSIX shell and /dev/full")
@pytest.mark.parametrize("redirections, status, errors", [
    (">/dev/null", 0, "not lost\n"), (">&-", 0, "not lost\n"), ("<&- >&- 2>&-", 0, ""), ("2>&1 | head -n 1 > first", 0, ""),
    ("> >(true)", 0, "not lost\n"), ("2>/dev/full >/dev/null", 0, ""),
    (">/dev/full", 1, "not lost\ncannot write standard output: No space left on device\n"),
])
def test_the_work_is_done_whatever_becomes_of_the_console(tmp_path, redirections, status, errors):
    assert work(tmp_path, redirections) == (status, errors, "the work is done\n")


def test_a_file_that_is_opened_never_gets_the_number_of_a_closed_stream(tmp_path):
    """Else all that is printed would go into it."""
    work(tmp_path, "<&- >&- 2>&-")
    assert (tmp_path / "done").read_text(encoding="utf-8") == "the work is done\n"


def test_a_console_that_cannot_show_a_character_shows_a_question_mark(tmp_path):
    with open(tmp_path / "ascii", "w", encoding="ascii") as file:
        print("naïve", file=Output(file))
    assert (tmp_path / "ascii").read_text(encoding="ascii") == "na?ve\n"


def test_text_that_was_lost_for_another_reason_than_a_reader_who_left_is_said():
    class Full:
        def write(self, text):
            raise OSError(28, "No space left on device")

        def fileno(self):
            return os.dup(2)

        def flush(self):
            pass

    output = Output(Full())
    print("text", file=output)
    with pytest.raises(MinbertError, match="cannot write standard output: No space left on device"):
        output.check()


def test_streams_are_put_back(capsys):
    before = sys.stdout, sys.stderr
    with pytest.raises(ZeroDivisionError), lasting_streams():
        print("shown")
        print(1 / 0)
    assert (sys.stdout, sys.stderr) == before and capsys.readouterr().out == "shown\n"


def test_plain_text_moves_no_cursor():
    assert show_plainly("a\x1b[31m\nb\u202e é 中") == "a?[31m?b? é 中"
