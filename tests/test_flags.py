"""Flags as strangers type them."""

import argparse

import pytest

from minbert.files import MinbertError
from multitask.flags import Parser, number, run_command, unify


def parser() -> Parser:
    made = Parser(prog="it.py")
    made.add_argument("--batch_size", type=number(int, 1, 100))
    made.add_argument("--option", choices=["pretrain", "finetune"])
    return made


@pytest.mark.parametrize("typed", [["--batch_size", "3"], ["--batch-size", "3"], ["--batch-size=3"]])
def test_hyphen_and_underscore_are_the_same(typed):
    assert parser().parse_args(typed).batch_size == 3


def test_only_the_name_of_a_flag_is_rewritten():
    assert unify("--fine-tune-mode=last-linear-layer") == "--fine_tune_mode=last-linear-layer"
    assert unify("runs/my-run") == "runs/my-run"


@pytest.mark.parametrize("typed, message, hint", [
    (["--batch-sise", "3"], "unknown flag --batch_sise", "did you mean --batch_size?"),
    (["--batch", "3"], "unknown flag --batch", "did you mean --batch_size?"),
    (["--xyz"], "unknown flag --xyz", "--help lists all flags"),
    (["--batch_size", "0"], "'0' is not a whole number of at least 1 and at most 100", "--help"),
    (["--batch_size", "many"], "'many' is not a whole number", "--help"),
    (["--batch_size"], "expected one argument", "--help"),
    (["--option", "pretain"], "invalid choice: 'pretain'", "did you mean --option pretrain?"),
    (["finetun"], "unrecognized arguments: finetun", "did you mean --option finetune?"),
    (["--resume", "auto"], "--resume is not built yet", "leave --resume out"),
])
def test_a_mistake_is_named_with_the_nearest_right_thing(typed, message, hint):
    with pytest.raises(MinbertError) as caught:
        parser().parse_args(typed)
    assert message in str(caught.value) and hint in caught.value.hint


@pytest.mark.parametrize("text, allowed", [("0", False), ("1e-5", True), ("1", True), ("nan", False), ("inf", False),
                                           ("-1", False)])
def test_a_number_lies_in_its_range(text, allowed):
    kind = number(float, 0, 1, "low")
    if allowed:
        assert kind(text) == float(text)
    else:
        with pytest.raises(argparse.ArgumentTypeError, match="above 0 and at most 1"):
            kind(text)


def fail(error: BaseException):
    def main(arguments: list[str]) -> None:
        raise error
    return main


@pytest.mark.parametrize("error, status, words", [
    (MinbertError("wrong", "mend it"), 2, "error: wrong\nhint: mend it\n"),
    (MinbertError("wrong", exit_code=5), 5, "error: wrong\n"),
    (KeyboardInterrupt(), 130, ""),
    (ZeroDivisionError("x"), 1, "please report"),
])
def test_every_end_has_its_exit_status(error, status, words, capsys):
    assert run_command(fail(error), []) == status
    errors = capsys.readouterr().err
    assert errors == words if status in (2, 5, 130) else words in errors and "Traceback" in errors


def test_debug_shows_the_traceback_of_a_users_mistake_too(capsys):
    run_command(fail(MinbertError("wrong")), ["--debug"])
    assert "Traceback" in capsys.readouterr().err
