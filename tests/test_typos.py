"""Names that were mistyped or stand in the wrong place: refused, and the right one offered."""

import random
import re

import pytest

from minbert.files import MinbertError
from multitask.closest import closest, count_slips, offer
from multitask.flags import run_command
from multitask.recipe import Recipe
from multitask.recipe_files import RECIPES, load_recipe
from multitask.strict_toml import list_places
from tests.torture.typos import find_parsers, measure, walk_recipe

QUICK = str(RECIPES / "quick.toml")


def refusal(name: str, *settings: str) -> MinbertError:
    with pytest.raises(MinbertError) as caught:
        load_recipe(name, settings)
    return caught.value


@pytest.mark.parametrize("typed, meant, slips", [
    ("lr", "lr", 0), ("l", "lr", 1), ("lrr", "lr", 1), ("lt", "lr", 1), ("rl", "lr", 1), ("", "abc", 3), ("abcd", "badc", 2),
    ("kitten", "sitting", 3), ("ca", "abc", 3),
])
def test_slips_are_counted(typed, meant, slips):
    assert count_slips(typed, meant) == count_slips(meant, typed) == slips


@pytest.mark.parametrize("name, names, near", [
    ("ss_dev", ["sst_dev", "sts_dev", "out"], ["sst_dev", "sts_dev"]),  # equally near: both
    ("LR", ["lr", "seed"], ["lr"]),
    ("a", ["b", "c", "d", "e"], ["b", "c", "d"]),  # three at most
    ("zzz", ["lr", "seed"], []),
    ("", ["lr", "seed"], []),
    ("t4-baselin", ["quick", "bimodal/t4-baseline"], ["bimodal/t4-baseline"]),
    ("smart.weight", ["stages.0.smart.weight", "stages.0.weights"], ["stages.0.smart.weight"]),
    ("batch", ["epochs", "stages.0.batch_size"], ["stages.0.batch_size"]),
])
def test_the_nearest_names_are_found(name, names, near):
    assert closest(name, names) == near


def test_names_are_offered_as_a_question():
    assert [offer(["a", "b", "c"][:count]) for count in range(4)] == [
        "", "did you mean a?", "did you mean a or b?", "did you mean a, b or c?"]


def test_every_command_with_flags_is_tried():
    commands = {"multitask_classifier.py", "classifier.py"}
    commands |= {f"python -m multitask.{name}" for name in "data predict report compare ensemble table effect".split()}
    assert commands <= set(find_parsers())


def test_the_places_that_hints_know_are_those_of_the_dataclasses():
    there = {".".join(place) for place in list_places(Recipe, "0")}
    assert {place for place, _, _ in walk_recipe()} | {"stages.0"} == there


def test_every_name_with_one_slip_is_refused_and_the_right_one_offered():
    outcome = measure(full=False)
    assert outcome.holds, "\n".join([*outcome.failures, *outcome.details])
    assert outcome.tried > 800, "some names are no longer tried"


@pytest.mark.parametrize("setting, meant", [
    ("epochs=1", "stages.0.epochs"), ("learning_rate=1e-4", "optimizer.learning_rate or stages.0.learning_rate"),
    ("smart.weight=5", "stages.0.smart.weight"), ("smart.wieght=5", "stages.0.smart.weight"),
    ("stages.epochs=1", "stages.0.epochs"), ("stages.O.epochs=1", "stages.0.epochs"), ("epoch=1", "stages.0.epochs"),
    ("stages={epochs=1}", "stages.0.epochs"), ("stages.0.clip=1", "optimizer.clip"), ("sst.head=mlp", "tasks.sst.head"),
    ("head=mlp", "tasks.sst.head, tasks.para.head or tasks.sts.head"), ("stages.1.epohs=1", "stages.1.epochs"),
])
def test_a_setting_in_the_wrong_place_is_shown_its_own(setting, meant):
    stage = 'stages.1={objectives=["sst"], schedule="budgeted", epochs=1, batch_size=1}'
    error = refusal(QUICK, stage, setting)
    assert "unknown key" in error.message and error.hint == f"did you mean {meant}?"


@pytest.mark.parametrize("text, meant", [
    ("epochs = 1", "stages[0].epochs"), ("[optimizer]\nepochs = 1", "stages[0].epochs"),
    ("[smart]\nweight = 5", "stages[0].smart"),
    ("[stages.0]\nclip = 1", "optimizer.clip"), ("[tasks]\nhead = 'mlp'", "tasks.sst.head, tasks.para.head or tasks.sts.head"),
    ("[optimiser]\nclip = 1", "optimizer"), ("extend = 'quick'", "extends"),
])
def test_a_key_in_a_files_wrong_table_is_shown_its_own(tmp_path, text, meant):
    path = tmp_path / "mine.toml"
    path.write_text(f'name = "mine"\nsource = "me"\nextends = "quick"\n{text}\n', encoding="utf-8")
    error = refusal(str(path))
    assert "unknown key" in error.message and error.hint == f"did you mean {meant}?"


@pytest.mark.parametrize("setting, hint", [
    ("stages.0.objectives=[\"rankin\"]", "did you mean ranking?"), ("stages.0.objectives=[\"x y z\"]", "known are 'sst', "),
    ("stages.0.weights.st=1", "did you mean sst or sts?"), ("stages.0.smart.tasks=[\"pra\"]", "did you mean para?"),
    ("stages.0.schedule=anealed", "did you mean annealed?"), ("lr=1", "known are 'name', "),
    ("stages.abc.xyz=1", "the entries of a list"),
])
def test_a_value_or_an_unknown_key_gets_what_is_known(setting, hint):
    assert refusal(QUICK, setting).hint.startswith(hint)


def test_a_recipes_name_is_offered_without_its_folder_and_the_list_always():
    assert refusal("quik").hint == "did you mean quick? --list_recipes lists them all; a file of your own must end in .toml"
    assert refusal("t4-tpe").hint.startswith("did you mean bimodal/t4-tpe? --list_recipes")
    assert refusal("zzzzzz").hint.startswith("--list_recipes")


@pytest.mark.parametrize("setting, told", [
    ("optimizer.clip=1e-5x", "'1e-5x' is not a number such as 0.1 or 1e-5"),
    ("stages.0.epochs=1.5", "1.5 is not a whole number such as 3"),
    ("optimizer.amsgrad=True", "'True' is not true or false"), ("model=3", '3 is not one line of plain text such as "abc"'),
    ("stages.0.objectives=sst", "'sst' is not a list of 1 or more, such as [\"sst\"]"),
    ("optimizer.betas=[0.9]", "a list of 1 is not a list of 2, such as [0.1, 0.1]"),
    ("optimizer=3", "3 is not a table, such as {key = value}"),
    (f"optimizer.clip={10**400}", "a number of more than 64 bits is not a number"),
    (f"seed={2**63}", "a number of more than 64 bits is not a whole number"),
    ("stages.0.epochs=٣", "'٣' is not a whole number"), ("optimizer.clip=nan", "nan is not a number"),
    ("optimizer.clip=-inf", "-inf is not a number"), ("stages.0.epochs=1__0", "'1__0' is not a whole number"),
])
def test_a_value_of_the_wrong_type_is_shown_a_right_one(setting, told):
    assert told in refusal(QUICK, setting).message


def test_a_setting_is_toml_whose_numbers_may_be_grouped():
    assert load_recipe(QUICK, ["seed=1_000"]).seed == load_recipe(QUICK, ["seed=0x3e8"]).seed == 1000


def test_no_setting_ends_in_anything_but_one_line_and_a_hint():
    generator = random.Random(0)
    values = ["1", "9" * 400, "9" * 5000, f"0x{'f' * 5000}", "[" * 5000, "[0.9, 0.999]",
             '{a = "b"}', '"x"', "true", "1979-05-27", "", "[[1]]", "mlp"]
    places = [place for place, _, _ in walk_recipe()]
    refused = 0
    for _ in range(2000):
        letters = list(f"{generator.choice(places)}={generator.choice(values)}")
        for _ in range(generator.randrange(1, 5)):
            at = generator.randrange(len(letters))
            letters[at:at + generator.randrange(2)] = generator.choice([*"\x00\n\t .=[]{}\"'#,_-019eé٣\udc80🙂", *"abcstz"])
        try:
            load_recipe(QUICK, ["".join(letters)])
        except MinbertError as error:
            assert "\n" not in error.message + error.hint and error.exit_code == 2
            refused += 1
    assert 1500 < refused < 2000, "the settings should nearly all be wrong, but not all"


def test_a_typo_ends_a_command_with_two_lines_and_status_2(capsys):
    from multitask_classifier import main

    for arguments, message, hint in [
            (["--sst-dv", "x"], "unknown flag --sst_dv", "did you mean --sst_dev?"),
            (["--ss_dev", "x"], "unknown flag --ss_dev", "did you mean --sst_dev or --sts_dev?"),
            (["--recipe", "quikc"], "no recipe is called 'quikc'", "did you mean quick? "),
            (["--recipe", "quick", "--set", "epochs=1"], "--set epochs=1: epochs: unknown key", "did you mean stages.0.epochs?")]:
        assert run_command(main, arguments) == 2
        captured = capsys.readouterr()
        assert not captured.out
        assert re.fullmatch(rf"error: {re.escape(message)}\nhint: {re.escape(hint)}.*\n", captured.err), captured.err
