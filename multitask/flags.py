"""Flags as a stranger types them, and every mistake as one line, a hint and an exit status."""

import argparse
import difflib
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Sequence

import torch

from minbert.files import MinbertError

# Flags whose part is not built yet: refused in one line rather than ignored
NOT_BUILT = ("resume", "time_limit")


class Parser(argparse.ArgumentParser):
    """argparse with - and _ alike in flag names, no abbreviations, the closest name for a typo, and exit status 2."""

    def __init__(self, **options) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def parse_args(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:
        """As argparse's, but every mistake is a MinbertError."""
        arguments = [unify(argument) for argument in (sys.argv[1:] if arguments is None else arguments)]
        known = [option for action in self._actions for option in action.option_strings]
        for argument in arguments:
            name = argument.split("=")[0]
            if not re.match(r"--[A-Za-z]", argument) or name in known:
                continue
            if name[2:] in NOT_BUILT:
                raise MinbertError(f"{name} is not built yet in this version", f"leave {name} out")
            close = difflib.get_close_matches(name, known, 1, 0.6)
            raise MinbertError(f"unknown flag {name}", f"did you mean {close[0]}?" if close else "--help lists all flags")
        return super().parse_args(arguments)

    def error(self, message: str) -> None:
        values = {choice: action.option_strings[-1] for action in self._actions if action.option_strings
                  for choice in action.choices or ()}
        wrong = re.search(r"invalid choice: '(.*?)'|unrecognized arguments: (\S+)", message)
        close = difflib.get_close_matches(next(filter(None, wrong.groups())), values, 1) if wrong else []
        command = self.prog.removeprefix("python ")
        hint = f"did you mean {values[close[0]]} {close[0]}?" if close else f"python {command} --help lists all flags"
        raise MinbertError(message, hint)


def unify(argument: str) -> str:
    """`--fine-tune-mode=x-y` -> `--fine_tune_mode=x-y`."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument[2:].partition("=")
    return "--" + name.replace("-", "_") + equals + value


def number(kind: type, low: float, high: float, open_ends: str = "") -> Callable[[str], float]:
    """An argparse type: a number from low to high; `open_ends` names the ends ("low", "high") that do not belong."""
    words = f"{'above' if 'low' in open_ends else 'of at least'} {low:g} "
    words += f"and {'below' if 'high' in open_ends else 'at most'} {high:g}"

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high or (value == low and "low" in open_ends) \
                or (value == high and "high" in open_ends):
            raise argparse.ArgumentTypeError(f"{text!r} is not a {'whole ' if kind is int else ''}number {words}")
        return value

    return parse


def run_command(main: Callable[[list[str]], None], arguments: list[str]) -> int:
    """Calls a command line's `main` and turns what it raises into one line, a hint and the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a console that cannot show a character shows "?"
            stream.reconfigure(errors="replace")
    try:
        if tuple(int(part) for part in torch.__version__.split(".")[:2]) < (2, 10):
            raise MinbertError(f"minBERT needs torch>=2.10 (CVE-2026-24747), found {torch.__version__}",
                               "pip install -r requirements.txt")
        main(arguments)
        sys.stdout.flush()
        return 0
    except MinbertError as error:
        if "--debug" in arguments:
            traceback.print_exc()
        print(f"error: {error}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except Exception:
        traceback.print_exc()
        print("this is a mistake in minBERT: please report it with the lines above", file=sys.stderr)
        return 1
