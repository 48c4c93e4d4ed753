"""Flags as a stranger types them, and every mistake as one line, a hint and an exit status."""

import argparse
import re
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from itertools import takewhile

import torch

from minbert.console import lasting_streams, show_plainly
from minbert.files import MinbertError
from multitask.closest import closest, offer

FLAG = re.compile(r"--\S+|-[A-Za-z]\S*")  # a sentence may begin with - too; it holds blanks


class Parser(argparse.ArgumentParser):
    """argparse with - and _ alike in flag names, no abbreviations, the closest name for a typo, and exit status 2."""

    def __init__(self, **options) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter,
                         epilog="Of a flag given twice the last one counts, unless it may be repeated.", **options)
        self._negative_number_matcher = re.compile(r"-\.?[0-9]")  # as from Python 3.13 on: -1e-5 is a number too

    def parse_args(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:
        """As argparse's, but every mistake is a MinbertError."""
        arguments = list(sys.argv[1:] if arguments is None else arguments)
        flags = [unify(argument) for argument in takewhile(lambda argument: argument != "--", arguments)]
        known = [option for action in self._actions for option in action.option_strings]
        for argument in flags:
            name = argument.partition("=")[0]
            if not FLAG.fullmatch(name) or name in known:
                continue
            near = closest("--" + name.lstrip("-"), known)
            raise MinbertError(f"unknown flag {name}", offer(near) or "--help lists all flags")
        return super().parse_args([*flags, *arguments[len(flags):]])

    def error(self, message: str) -> None:
        values = {choice: " ".join([*action.option_strings[-1:], choice])
                  for action in self._actions for choice in action.choices or ()}
        wrong = re.search(r"invalid choice: '(.*?)'|unrecognized arguments: (\S+)", message)
        near = closest(wrong[1] or wrong[2] or "", values) if wrong else []
        command = self.prog.removeprefix("python ")
        hint = offer([values[choice] for choice in near]) or f"python {command} --help lists all flags"
        raise MinbertError(message, hint)


def unify(argument: str) -> str:
    """`--fine-tune-mode=x-y` -> `--fine_tune_mode=x-y`."""
    name, equals, value = argument.partition("=")
    if not FLAG.fullmatch(name) or not name.startswith("--"):
        return argument
    return "--" + name[2:].replace("-", "_") + equals + value


def number(kind: type, low: float, high: float, open_ends: str = "") -> Callable[[str], float]:
    """An argparse type: a number from low to high; `open_ends` names the ends ("low", "high") that do not belong."""
    words = f"{'above' if 'low' in open_ends else 'of at least'} {low:g} "
    words += f"and {'below' if 'high' in open_ends else 'at most'} {high:g}"

    def parse(text: str) -> float:
        try:  # int and float would also take 1_000 and the digits of every script
            value = kind(text) if text.isascii() and "_" not in text else None
        except ValueError:
            value = None
        if value is None or not low <= value <= high or (value == low and "low" in open_ends) \
                or (value == high and "high" in open_ends):
            raise argparse.ArgumentTypeError(f"{text!r} is not a {'whole ' if kind is int else ''}number {words}")
        return value

    return parse


def run_command(main: Callable[[list[str]], None], arguments: list[str]) -> int:
    """Calls a command line's `main` and turns what it raises into one line, a hint and the exit status.

    Where the reader of its output goes away, as with `| head`, or the console does, the work goes on: it may be a training.
    """
    with lasting_streams() as output:
        try:
            if tuple(int(part) for part in torch.__version__.split(".")[:2]) < (2, 10):
                raise MinbertError(f"minBERT needs torch>=2.10 (CVE-2026-24747), found {torch.__version__}",
                                   "pip install -r requirements.txt")
            main(arguments)
            output.check()
            return 0
        except MinbertError as error:
            if "--debug" in arguments:
                traceback.print_exc()
            lines = [f"error: {error.message}", *([f"hint: {error.hint}"] if error.hint else [])]
            print("\n".join(map(show_plainly, lines)), file=sys.stderr)  # a name in it may come from anywhere
            return error.exit_code
        except KeyboardInterrupt as stopped:
            return getattr(stopped, "exit_code", 128 + signal.SIGINT)
        except Exception:
            traceback.print_exc()
            print("this is a mistake in minBERT: please report it with the lines above", file=sys.stderr)
            return 1
