"""Flags as strangers type them."""

import argparse

import pytest

from minbert.files import MinbertError
from multitask.flags import Parser, number, run_command, unify


def parser() -> Parser:
    made = Parser(prog="it.py")
    made.add_argument("--batch_size", type=number(int, 1, 100))
    made.add_argument("--option", choices=["pretrain", "finetune"])
    made.add_argument("--lr", type=number(float, 0, 1, "low"))
    made.add_argument("--sst_dev")
    made.add_argument("--sts_dev")
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
    (["--option", ""], "invalid choice: ''", "--help"),
    (["finetun"], "unrecognized arguments: finetun", "did you mean --option finetune?"),
    (["--l", "1"], "unknown flag --l", "did you mean --lr?"),
    (["-lr", "1"], "unknown flag -lr", "did you mean --lr?"),
    (["---lr", "1"], "unknown flag --_lr", "did you mean --lr?"),
    (["--st_dev", "x"], "unknown flag --st_dev", "did you mean --sst_dev or --sts_dev?"),
    (["--lr", "1e-5x"], "'1e-5x' is not a number above 0 and at most 1", "--help"),
    (["--lr", "-1e-5"], "'-1e-5' is not a number above 0 and at most 1", "--help"),
])
def test_a_mistake_is_named_with_the_nearest_right_thing(typed, message, hint):
    with pytest.raises(MinbertError) as caught:
        parser().parse_args(typed)
    assert message in str(caught.value) and hint in caught.value.hint


def test_a_positional_choice_gets_the_closest_one():
    made = Parser(prog="it.py")
    made.add_argument("action", choices=["check", "download"])
    with pytest.raises(MinbertError) as caught:
        made.parse_args(["chekc"])
    assert caught.value.hint == "did you mean check?"


def test_of_a_flag_given_twice_the_last_counts_and_the_help_says_so():
    assert parser().parse_args(["--lr", "1e-3", "--lr", "1e-4"]).lr == 1e-4
    assert "given twice the last one counts" in parser().format_help()


@pytest.mark.parametrize("typed", [["--", "--well-made"], ["--well-made film"], ["-dull, too"], ["-"]])
def test_a_sentence_may_begin_with_a_hyphen(typed):
    made = Parser(prog="it.py")
    made.add_argument("sentence")
    assert made.parse_args(typed).sentence == typed[-1]


@pytest.mark.parametrize("kind, text", [(int, "1_0"), (int, "٣"), (float, "0_1"), (float, "٠.٣"), (int, "1e1"), (int, "9" * 5000),
                                        (float, "0x1"), (float, "1e999"), (int, "")])
def test_a_number_is_plain_digits(kind, text):
    with pytest.raises(argparse.ArgumentTypeError, match="number of at least 0 and at most 100"):
        number(kind, 0, 100)(text)


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
