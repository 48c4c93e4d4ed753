"""`python -m tools.mistakes`: plants every mistake, runs the tests that must catch it, and tells which do and what they say."""

import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from minbert.files import MinbertError, write_text
from multitask.flags import Parser, run_command
from tools.mistakes.planted import Mistake, read_mistakes
from tools.mistakes.trial import Outcome, find_failing, try_mistake

SECTIONS = {1: "From text to ids", 2: "Embeddings", 3: "Attention", 4: "The layer and the model", 5: "The optimizer",
            6: "Heads and losses", 7: "Many tasks", 8: "Measuring", 9: "Sharing less", 10: "Smoothness",
            11: "Embedding losses and pre-training"}
INTRODUCTION = """# Planted mistakes

Every line is a mistake that students make. `python -m tools.mistakes` puts each into the code, in memory, runs the tests of its
component, and demands that one fails with a sentence that names the cause. Beside it: whether the two checks that the CS224N
course gives its students, rebuilt from their description, see the mistake. They run the encoder in evaluation, and the
optimizer; what lies outside they cannot see. Written by `python -m tools.mistakes --table docs/MISTAKES.md`.
"""


def main(arguments: list[str]) -> None:
    """Plants mistakes, prints what the tests said of each, and writes the table where one is asked for."""
    parser = Parser(prog="python -m tools.mistakes", description="Plant every mistake and see whether the tests name it.")
    parser.add_argument("filters", nargs="*", metavar="NAME",
                        help="only mistakes with one of these in the name, or of this exercise")
    parser.add_argument("--section", type=int, choices=SECTIONS, help="only this section of the handout")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table, in Markdown")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    flags = parser.parse_args(arguments)
    chosen = [mistake for mistake in read_mistakes() if flags.section in (None, mistake.section)
              and (not flags.filters or any(one in mistake.name or one == mistake.exercise for one in flags.filters))]
    if not chosen:
        raise MinbertError("no mistake is chosen", "leave out the names to run all")
    outcomes = list(try_all(chosen))
    print("\n" + totals(outcomes))
    if flags.table:
        write_text(flags.table, table(outcomes))
    if missed := sum(outcome.verdict != "named" for outcome in outcomes):
        raise MinbertError(f"{missed} of {len(outcomes)} mistakes are not caught and named by a test of their own component",
                           "strengthen the tests", exit_code=1)


def try_all(mistakes: Sequence[Mistake]):
    """Each mistake's outcome, printed as it comes."""
    failing: dict[str, frozenset[str]] = {}
    for mistake in mistakes:
        if mistake.component not in failing:
            failing[mistake.component] = find_failing(mistake.component)
            for test in sorted(failing[mistake.component]):
                print(f"fails without any mistake, and so proves nothing: {test}", flush=True)
        began = time.perf_counter()
        outcome = try_mistake(mistake, failing[mistake.component])
        print(f"{outcome.verdict:<24}{time.perf_counter() - began:5.1f} s  {mistake.exercise or '-':<5} {mistake.name}")
        if outcome.failure:
            print(f"{'':33}{test_name(outcome)}: {first_line(outcome) or 'a bare crash or assert'}")
        sys.stdout.flush()
        yield outcome


def test_name(outcome: Outcome) -> str:
    return outcome.failure.test.partition("::")[2].partition("[")[0] if outcome.failure else ""


def first_line(outcome: Outcome) -> str:
    """The line of the failing test's sentence that names the cause, without paths of this machine."""
    if outcome.failure is None:
        return ""
    lines = outcome.failure.sentence.splitlines() or [""]
    line = next((line for line in lines if re.search(outcome.mistake.says, line)), lines[0]).strip()
    line = re.sub(r"\S*pytest-of-\S*", "...", line)
    return line if len(line) <= 200 else line[:197] + "..."


def totals(outcomes: Sequence[Outcome]) -> str:
    """How many were named, and how many the course's own two checks would have seen."""
    count = len(outcomes)
    named, sanity, optimizer, either = (sum(values) for values in zip(*(
        (outcome.verdict == "named", outcome.sanity is True, outcome.optimizer is True,
         True in (outcome.sanity, outcome.optimizer)) for outcome in outcomes), strict=True))
    unknown = " (the sanity check was not run: the packaged MiniLM is not installed)" \
        if any(outcome.sanity is None for outcome in outcomes) else ""
    return (f"{count} mistakes: {named} caught by a test of their own component that names the cause. "
            f"Of the course's two checks the sanity check sees {sanity}, the optimizer check {optimizer}, one of them {either}."
            + unknown)


def table(outcomes: Sequence[Outcome]) -> str:
    """Markdown, section by section; nothing in it changes from one run to the next."""
    lines = [INTRODUCTION, f"**{totals(outcomes)}**", ""]
    for number, title in SECTIONS.items():
        rows = [row(outcome) for outcome in outcomes if outcome.mistake.section == number]
        if rows:
            lines += [f"## {number}. {title}", "",
                      "| mistake | exercise | caught by | what the test says | sanity check | optimizer check |",
                      "|---|---|---|---|---|---|", *rows, ""]
    return "\n".join(lines)


def row(outcome: Outcome) -> str:
    seen = {True: "seen", False: "not seen", None: "not run"}
    mistake, verdict = outcome.mistake, "" if outcome.verdict == "named" else f" ({outcome.verdict})"
    caught = f"{mistake.component.removeprefix('tests/')}: {test_name(outcome)}{verdict}"
    cells = [mistake.name, mistake.exercise or "none", caught, first_line(outcome), seen[outcome.sanity], seen[outcome.optimizer]]
    return "| " + " | ".join(re.sub(r"([\\|<>*`\[\]])", r"\\\1", cell) for cell in cells) + " |"


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
