"""Recipes: what a good file becomes, what a bad one is told, and that only MinbertError ever comes out."""

import json
import random
from dataclasses import FrozenInstanceError, dataclass
from typing import get_args, get_type_hints

import pytest

from minbert.files import MinbertError
from multitask.recipe import ENCODINGS, PRETRAINING, Expected, OptimizerRecipe, Recipe, TaskRecipe
from multitask.recipe_files import load_recipe, to_toml
from multitask.strict_toml import Fault, build, key, write_keys

GOOD = """name = "mine"
source = "the test"

[expected]
sts = 0.9
sts_scale = "r"

[tasks.sst]
head = "mlp"
hidden = [64]

[tasks.para]
token_types = "zeros"

[tasks.sts]
encoding = "independent"
features = "concat"

[optimizer]
learning_rate = 3e-5

[[stages]]
objectives = ["sst", "para"]
schedule = "round_robin"
length = "min"
epochs = 2
batch_size = 8

[[stages]]
objectives = ["sts"]
schedule = "budgeted"
epochs = 1
batch_size = 4
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a recipe into an empty folder that is also the working one, and returns its name."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="mine.toml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    return write


def complaint(name, *settings):
    """The message of the MinbertError that loading must end in."""
    with pytest.raises(MinbertError) as caught:
        load_recipe(name, settings)
    message = caught.value.message
    assert "\n" not in message, f"an error is one line, this one has more: {message!r}"
    return message


def changed(old, new):
    assert GOOD.count(old) >= 1, f"the test means to replace {old!r}, which GOOD does not hold"
    return GOOD.replace(old, new, 1)


# What a good file becomes


def test_a_file_becomes_frozen_dataclasses_with_defaults_filled_in(write):
    recipe = load_recipe(write(GOOD))
    assert recipe.seed == 11711 and recipe.max_length == 128 and recipe.expected.sts == 0.9
    assert recipe.stages[0].objectives == ("sst", "para") and recipe.stages[1].train == "full-model"
    assert recipe.tasks["sst"] == TaskRecipe(encoding="single", head="mlp", hidden=(64,))
    assert recipe.optimizer == OptimizerRecipe(learning_rate=3e-5)
    with pytest.raises(FrozenInstanceError):
        recipe.seed = 1


def test_encoding_left_out_is_single_for_one_text_and_pair_for_two(write):
    recipe = load_recipe(write(GOOD))
    assert {name: task.encoding for name, task in recipe.tasks.items()} == {
        "sst": "single", "para": "pair", "sts": "independent"}


def test_a_whole_number_serves_where_a_number_is_wanted(write):
    clip = load_recipe(write(GOOD), ["optimizer.clip=2"]).optimizer.clip
    assert clip == 2.0 and isinstance(clip, float), "a float field holds a float, or round trips change types"


def test_a_file_with_a_byte_order_mark_and_windows_line_ends_loads(write):
    windows = b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()
    assert load_recipe(write(windows)) == load_recipe(write(GOOD))


def test_baseline_and_quick_train_the_courses_three_tasks_on_one_model():
    for name in ("baseline", "quick"):
        recipe = load_recipe(name)
        assert tuple(recipe.tasks) == ("sst", "para", "sts") == recipe.stages[0].objectives
        assert recipe.tasks["para"].encoding == recipe.tasks["sts"].encoding == "pair"
    assert load_recipe("baseline").optimizer.learning_rate == 5e-5


def test_the_tasks_known_here_are_those_of_the_data_reader():
    from multitask.tables import TASKS
    assert set(ENCODINGS) == set(TASKS), "a new task needs an entry in recipe.ENCODINGS and in tables.TASKS"
    for name, encodings in ENCODINGS.items():
        assert (encodings == ("single",)) == (not TASKS[name].is_pair), f"{name}: not as in tables.TASKS"
    assert [name for name in TASKS if TASKS[name].kind == "score"] == ["sts"], "cosine is for scores"
    offered = set(get_args(get_type_hints(Recipe)["select_by"]))
    assert set(ENCODINGS) <= offered, "select_by must offer every task"


# Round trip


def test_the_resolved_recipe_reads_back_equal(write):
    settings = ['description="\\"quoted\\" \\\\ é 🙂 # = [x]"', "model=C:\\models\\bert", "stages.0.length=",
                "stages.0.steps_per_epoch=5", "tasks.sts.head=cosine", "tasks.sts.features=",
                "optimizer.schedule=constant", "seed=4294967295"]
    for recipe in [load_recipe("four_tasks"), load_recipe(write(GOOD)), load_recipe("mine.toml", settings)]:
        assert load_recipe(write(to_toml(recipe), "resolved.toml")) == recipe


def test_random_recipes_read_back_equal(write):
    generator = random.Random(0)
    write(GOOD)
    loaded = 0
    for _ in range(100):
        settings = [f"{place}={json.dumps(generator.choice(values))}"
                    for place, values in generator.sample(sorted(VALUES.items()), 6)]
        try:
            recipe = load_recipe("mine.toml", settings)
        except MinbertError:
            continue
        loaded += 1
        assert load_recipe(write(to_toml(recipe), "resolved.toml")) == recipe, settings
    assert loaded > 20, "too few of the random recipes are valid for this test to mean anything"


VALUES = {
    "tasks.sst.head": ["linear", "mlp"], "tasks.sst.hidden": [[1], [999, 2]],
    "tasks.para.pooling": ["mean", "pooler"], "tasks.sts.encoding": ["pair", "independent"],
    "tasks.sts.features": ["difference"], "tasks.sts.dropout": [0, 0.3], "optimizer.betas": [[0.5, 0.99]],
    "optimizer.eps": [1e-12, 0.1 + 0.2], "optimizer.schedule": ["constant", "linear"],
    "optimizer.warmup": [0, 1, 0.05], "optimizer.amsgrad": [True],
    "stages.0.length": ["max", "until_exhausted", ""], "stages.0.steps_per_epoch": [0, 7],
    "stages.1.schedule": ["round_robin", "sequential_tasks"], "stages.1.train": ["last-linear-layer"],
    "select_by": ["sst", "minimum"], "description": ["", "a \\ \" '"],
    "expected": [{}, {"sst": 0.5, "overall": 0.7}], "seed": [0, 1], "max_length": [3, 512],
}


def test_keys_that_mean_nothing_are_left_out_of_the_resolved_recipe(write):
    text = to_toml(load_recipe(write(GOOD)))
    for place in ("tasks.para.hidden", "tasks.sts.token_types", "tasks.sst.features"):
        assert place not in text
    assert "tasks.sst.hidden = [64]" in text and 'tasks.sst.activation = "gelu"' in text, "defaults are written"
    assert text.count("length = ") == 2, "max_length and the first stage's length; the second stage has none"


# What a bad file is told

BAD_FILES = [
    ('schedule = "round_robin"', 'schedule = "anealed"', "stages[0].schedule: 'anealed' is not one of "
     "'round_robin', 'sequential_epoch', 'sequential_tasks', 'budgeted'"),
    ('schedule = "round_robin"', 'schedul = "round_robin"',
     "stages[0].schedul: unknown key"),
    ('source = "the test"', "", "source: this key is missing"),
    ("learning_rate = 3e-5", "", "optimizer.learning_rate: this key is missing"),
    ("epochs = 2\n", "", "stages[0].epochs: this key is missing"),
    ("learning_rate = 3e-5", 'learning_rate = "1e-5x"', "optimizer.learning_rate: '1e-5x' is not a number such as 0.1 or 1e-5"),
    ("learning_rate = 3e-5", "learning_rate = true", "optimizer.learning_rate: true is not a number"),
    ("learning_rate = 3e-5", "learning_rate = nan", "optimizer.learning_rate: nan is not a number"),
    ("learning_rate = 3e-5", "learning_rate = inf", "optimizer.learning_rate: inf is not a number"),
    ("learning_rate = 3e-5", "learning_rate = -1e-5",
     "optimizer.learning_rate: -1e-05 is out of range: it must be above 0 and at most 1"),
    ("epochs = 2", "epochs = 2.0", "stages[0].epochs: 2.0 is not a whole number"),
    ("epochs = 2", "epochs = true", "stages[0].epochs: true is not a whole number"),
    ("epochs = 2", "epochs = 0", "stages[0].epochs: 0 is out of range: it must be at least 1"),
    ("batch_size = 4", "batch_size = 0", "stages[1].batch_size: 0 is out of range: it must be at least 1"),
    ("hidden = [64]", "hidden = [64]\ndropout = 1",
     "tasks.sst.dropout: 1.0 is out of range: it must be at least 0 and below 1"),
    ("3e-5", "3e-5\nbetas = [0.9, 1.0]", "optimizer.betas[1]: 1.0 is out of range"),
    ("3e-5", "3e-5\nbetas = [0.9]", "optimizer.betas: a list of 1 is not a list of 2, such as [0.1, 0.1]"),
    ("3e-5", "3e-5\namsgrad = 1", "optimizer.amsgrad: 1 is not true or false"),
    ('source = "the test"', 'source = "the\\ntest"', "source: 'the\\ntest' is not one line of plain text"),
    ('source = "the test"', "source = 2024-01-01", "source: 2024-01-01 is not one line of plain text"),
    ('source = "the test"', 'source = "the test"\nmax_length = 513',
     "max_length: 513 is out of range: it must be at least 3 and at most 512"),
    ('source = "the test"', 'source = "the test"\nseed = -1', "seed: -1 is out of range"),
    ('source = "the test"', 'source = "the test"\n"odd\\nkey" = 1', "'odd\\nkey': unknown key"),
    ('name = "mine"', 'name = "../mine"', "name: '../mine' is not made of a-z"),
    ('name = "mine"', 'name = "/mine"', "name: '/mine' is not made of a-z"),
    ('name = "mine"', 'name = "Mine"', "name: 'Mine' is not made of a-z"),
    ("[tasks.para]", "[tasks.paras]", "tasks.paras: unknown key"),
    ("[optimizer]\nlearning_rate = 3e-5", "", "optimizer: this key is missing"),
    ("[expected]\nsts = 0.9", "[expected]\nsts = 90", "expected.sts: 90.0 is out of range"),
    ('sts_scale = "r"', "", "expected.sts_scale: sts and its scale"),
    ('objectives = ["sts"]', "objectives = []",
     "stages[1].objectives: a list of 0 is not a list of 1 or more"),
    ('objectives = ["sts"]', 'objectives = "sts"', "stages[1].objectives: 'sts' is not a list of 1 or more, such as [\"sst\"]"),
    ('objectives = ["sts"]', 'objectives = ["sts", "sts"]',
     "stages[1].objectives[1]: 'sts' is in the list twice"),
    ('objectives = ["sts"]', 'objectives = ["cfimdb"]',
     "stages[1].objectives[0]: 'cfimdb' is not one of the recipe's tasks 'sst', 'para', 'sts'"),
    ('objectives = ["sts"]', "objectives = [1]", "stages[1].objectives[0]: 1 is not one line of plain text"),
    # Combinations that mean nothing
    ("hidden = [64]", 'hidden = [64]\nencoding = "pair"', "tasks.sst.encoding: 'pair' is not one of 'single'"),
    ('encoding = "independent"\nfeatures = "concat"', 'encoding = "single"',
     "tasks.sts.encoding: 'single' is not one of 'pair', 'independent'"),
    ('head = "mlp"', "", "tasks.sst.hidden: only goes with head = 'mlp', and head is 'linear'"),
    ('head = "mlp"\nhidden = [64]', 'activation = "relu"', "tasks.sst.activation: only goes with head = 'mlp'"),
    ('head = "mlp"\nhidden = [64]', 'head = "cosine"', "tasks.sst.head: 'cosine' is for sts"),
    ('token_types = "zeros"', 'encoding = "independent"\nhead = "cosine"', "tasks.para.head: 'cosine' is for sts"),
    ('encoding = "independent"\nfeatures = "concat"', 'head = "cosine"', "tasks.sts.head: 'cosine' is for sts"),
    ('features = "concat"', 'features = "concat"\nhead = "cosine"',
     "tasks.sts.features: only goes with head = 'linear' or 'mlp', and head is 'cosine'"),
    ('token_types = "zeros"', 'features = "concat"', "tasks.para.features: only goes with encoding"),
    ('encoding = "independent"\n', 'token_types = "zeros"\nencoding = "independent"\n',
     "tasks.sts.token_types: only goes with encoding = 'pair'"),
    ('schedule = "budgeted"', 'schedule = "budgeted"\nlength = "max"',
     "stages[1].length: only goes with schedule = 'round_robin', and schedule is 'budgeted'"),
    ("epochs = 2", "epochs = 2\nsteps_per_epoch = 9", "stages[0].length: only goes with steps_per_epoch = 0"),
    ('schedule = "round_robin"\nlength = "min"', 'schedule = "sequential_epoch"\nsteps_per_epoch = 9',
     "stages[0].steps_per_epoch: 'sequential_epoch' is a full pass"),
    ("3e-5", '3e-5\nschedule = "constant"\nwarmup = 0.1',
     "optimizer.warmup: only goes with schedule = 'linear' or 'google', and schedule is 'constant'"),
    ('source = "the test"', 'source = "the test"\nselect_by = "cfimdb"',
     "select_by: 'cfimdb' is not one of the recipe's tasks"),
    ('head = "mlp"\nhidden = [64]', 'target = "classes5"', "tasks.sst.target: 'classes5' is not one of 'labels', 'regression'"),
    ('token_types = "zeros"', 'target = "regression"', "tasks.para.target: 'regression' is not one of 'labels', which"),
    ('features = "concat"', 'features = "concat"\ndecode = "argmax"', "tasks.sts.decode: only goes with target = 'classes5'"),
    ('token_types = "zeros"', 'output_range = "sigmoid"', "tasks.para.output_range: 'sigmoid' is for tasks whose labels are"),
    ('token_types = "zeros"', 'projection = "relu"', "tasks.para.projection: only goes with encoding = 'independent'"),
    ('source = "the test"', 'source = "the test"\nfeatures.part_of_speech = "file"', "features.tag_file: this key is missing"),
    ('source = "the test"', 'source = "the test"\nencoder.size = 8', "encoder.size: only goes with kind = 'pal' or"),
    # TOML itself: tomllib's line number must survive
    ("epochs = 2", "epochs = = 2", "not valid TOML: Invalid value (at line 26, column 10)"),
    ("epochs = 2", "epochs = 2\nepochs = 3",
     "not valid TOML: Cannot overwrite a value (at line 27, column 11)"),
    ("[optimizer]", "[tasks.sst]\n[optimizer]", "not valid TOML: Cannot declare ('tasks', 'sst') twice"),
    ("epochs = 2", "epochs = " + "[" * 5000, "not valid TOML: "),
    ("epochs = 2", "epochs = " + "9" * 5000, "not valid TOML: "),
]


@pytest.mark.parametrize(("old", "new", "told"), BAD_FILES, ids=[told[:50] for _, _, told in BAD_FILES])
def test_a_bad_file_is_told_file_place_value_and_rule_in_one_line(write, old, new, told):
    assert complaint(write(changed(old, new))).startswith("mine.toml: " + told)


def test_tables_where_values_belong_and_the_reverse_are_told(write):
    plain = GOOD[:GOOD.index("[[stages]]")]
    told = complaint(write(plain + "[stages]\nepochs = 1"))
    assert told == "mine.toml: stages: a table is not a list of 1 or more, such as [{key = value}]"
    told = complaint(write("stages = []\n" + plain))
    assert told == "mine.toml: stages: a list of 0 is not a list of 1 or more, such as [{key = value}]"
    assert complaint(write("stages = [3]\n" + plain)) == "mine.toml: stages[0]: 3 is not a table, such as {key = value}"
    assert complaint(write('name="a"\nsource="b"\ntasks=3\n' + GOOD[GOOD.index("[optimizer]"):])) \
        == "mine.toml: tasks: 3 is not a table, such as {key = value}"
    assert complaint(write(GOOD + "[seed]")) == "mine.toml: seed: a table is not a whole number such as 3"


BAD_STAGES = [  # settings of GOOD's second stage, which trains sts; what is told
    (["schedule=annealed"], "steps_per_epoch: this key is missing: 'annealed' draws without end"),
    (["schedule=joint_min", "steps_per_epoch=3"], "steps_per_epoch: 'joint_min' sets the number of steps itself"),
    (["budget.sst=3"], "budget.sst: not one of the stage's objectives 'sts'"),
    (["objectives.1=sst", "budget.sst=3"], "budget.sts: this key is missing: a budget names every objective"),
    (["fraction.sts=[0.5, 0.5]"], "fraction.sts: [0.5, 0.5] is not a part [from, to] of a whole"),
    (["combine=pcgrad"], "combine: only goes with schedule = 'joint_min' or 'equal_resample', and schedule is 'budgeted'"),
    (["schedule=joint_min", "combine=pcgrad"], "combine: 'pcgrad' needs two tasks or more that share a trained encoder"),
    (["accumulate_by=sum"], "accumulate_by: only goes with accumulate = 2 or more"),
    (['smart.tasks=["sst"]'], "smart.tasks: 'sst' is not a task that this stage trains"),
    (["smart={}", "train=last-linear-layer"], "smart: smooths the encoder's neighbourhood: it needs train = 'full-model'"),
    (["smart.mode=sign", "smart.step_size=1e-3"], "smart.step_size: only goes with mode = 'paper' or 'normalize'"),
    (["smart.weight=0"], "smart.weight: 0.0 is out of range: it must be above 0"),
    (["select_by=cfimdb", "patience=1"], "select_by: 'cfimdb' is not one of the recipe's tasks"),
    (['objectives=["rankin"]'], "objectives[0]: 'rankin' is no objective"),
    (['objectives=["ranking"]', "train=last-linear-layer"], "objectives[0]: 'ranking' needs one shared encoder that is trained"),
    (['objectives=["simcse"]', "select_by=loss", "patience=1"], "select_by: 'simcse' has no loss on dev"),
    (['objectives=["ranking"]', "patience=2"], "select_by: it must be 'loss' for patience or end_with = 'best'"),
    (["end_with=best"], "end_with: is for a stage that another follows"),
    (["select_by=sts"], "select_by: only goes with patience or end_with = 'best'"),
    (["schedule=sequential_tasks", "patience=1"], "patience: would stop before the later tasks"),
    (["schedule=epoch_dropout", "learning_rate_schedule=halve_on_rise"], "schedule: the epochs of 'epoch_dropout'"),
    (['objectives=["sts", "ranking"]', "schedule=equal_resample"], "schedule: 'equal_resample' draws the rows of tasks"),
    (['objectives=["sts", "ranking"]', "short_batches=nominal"], "short_batches: 'nominal' is for tasks"),
    (["pretraining={}"], "pretraining: only goes with one of the objectives 'masked_lm', "),
    (['objectives=["simcse"]', "pretraining.margin=1"], "pretraining.margin: only goes with one of the objectives 'margin_contr"),
    (['objectives=["simcse"]', "smart={}"], "smart.tasks: 'simcse' is not a task that this stage trains"),
    (['objectives=["masked_lm"]', "fraction.masked_lm=[0, 1]"], "fraction.masked_lm: this objective reads every task's text"),
]


@pytest.mark.parametrize(("settings", "told"), BAD_STAGES)
def test_a_stage_that_makes_no_sense_is_told_why(write, settings, told):
    assert f"stages[1].{told}" in complaint(write(GOOD), *(f"stages.1.{setting}" for setting in settings))


def test_a_frozen_encoder_and_a_cosine_without_weights_leave_nothing_to_train(write):
    settings = ["tasks.sts.head=cosine", "tasks.sts.features=", "stages.1.train=last-linear-layer"]
    assert "stages[1].objectives[0]: 'sts' has no weights to train" in complaint(write(GOOD), *settings)
    assert load_recipe("mine.toml", [*settings, "tasks.sts.projection=linear"]), "a projection has weights"


def test_files_that_cannot_be_read_are_told_by_name(write, tmp_path):
    write(GOOD)
    (tmp_path / "folder.toml").mkdir()
    assert "nothing.toml" in complaint("nothing.toml") and "folder.toml" in complaint("folder.toml")
    assert complaint(write(b'name = "\xff"', "latin.toml")).startswith("latin.toml: not valid TOML: 'utf-8'")


def test_an_unknown_name_cannot_leave_the_recipes_folder():
    assert complaint("quik") == "no recipe is called 'quik'"
    assert complaint("../recipes/quick").startswith("no recipe is called")
    assert complaint("").startswith("no recipe is called")


# extends


CHILD = 'name = "child"\nsource = "the test"\nextends = "mine.toml"\n'


def test_a_child_inherits_settings_key_by_key_and_lists_as_a_whole(write):
    write(GOOD)
    child = load_recipe(write(CHILD + """
[tasks.sst]
hidden = [7]
[[stages]]
objectives = ["sst"]
schedule = "budgeted"
epochs = 9
batch_size = 1
""", "child.toml"))
    parent = load_recipe("mine.toml")
    assert child.tasks["sst"].hidden == (7,) and child.tasks["sst"].head == "mlp", "tables merge key by key"
    assert child.tasks["para"] == parent.tasks["para"] and child.optimizer == parent.optimizer
    assert len(child.stages) == 1 and child.stages[0].epochs == 9, "a list is replaced, not merged"


def test_name_source_description_and_expected_scores_are_never_inherited(write):
    write(GOOD.replace("[expected]", 'description = "the parent"\n[expected]'))
    child = load_recipe(write(CHILD, "child.toml"))
    assert child.description == "" and child.expected == Expected(), "these are its parent's scores"
    told = complaint(write('extends = "mine.toml"', "nameless.toml"))
    assert told == "nameless.toml: name: this key is missing"


def test_extends_is_relative_to_the_file_and_may_name_a_shipped_recipe(write):
    write(GOOD, "deep/mine.toml")
    assert load_recipe(write(CHILD, "deep/child.toml")).tasks["sst"].hidden == (64,)
    grandchild = CHILD.replace("mine.toml", "../deep/child.toml").replace("child\"", "grandchild\"", 1)
    assert load_recipe(write(grandchild, "other/grandchild.toml")).tasks["sst"].hidden == (64,)
    child = load_recipe(write(CHILD.replace("mine.toml", "quick"), "child.toml"))
    assert child.stages == load_recipe("quick").stages


def test_a_child_may_add_an_entry_to_a_list_by_its_length(write):
    write(GOOD)
    stage = 'objectives = ["para"]\nschedule = "budgeted"\nepochs = 9\nbatch_size = 1\n'
    child = load_recipe(write(CHILD + f"[stages.2]\n{stage}[stages.3]\n{stage}", "child.toml"), ["stages.0.objectives.2=sts"])
    parent = load_recipe("mine.toml")
    assert child.stages[1] == parent.stages[1] and [stage.epochs for stage in child.stages] == [2, 1, 9, 9]
    assert child.stages[0].objectives == ("sst", "para", "sts")
    assert complaint(write(CHILD + f"[stages.3]\n{stage}", "child.toml")).endswith("a list of 2; there is no '3' in it")


def test_an_empty_value_takes_an_inherited_key_out_and_only_an_inherited_one(write):
    write(GOOD)
    assert complaint(write(CHILD + '[tasks.sst]\nhead = "linear"', "child.toml")).startswith(
        "mine.toml: tasks.sst.hidden: only goes with head = 'mlp', and head is 'linear'")
    child = load_recipe(write(CHILD + '[tasks.sst]\nhead = "linear"\nhidden = ""', "child.toml"))
    assert child.tasks["sst"] == TaskRecipe(encoding="single")
    assert complaint(write(CHILD + '[tasks.sst]\npooling = ""', "child.toml")) \
        == "child.toml: tasks.sst.pooling: '' is not one of 'cls', 'pooler', 'mean', 'mixed'"


def test_an_error_names_the_file_of_the_family_that_holds_the_value(write):
    write(changed("3e-5", "3e-5\neps = 3"))
    child = write(CHILD + "[optimizer]\nclip = 2", "child.toml")
    assert complaint(child).startswith("mine.toml: optimizer.eps: 3.0 is out of range")
    child = write(CHILD + "[optimizer]\neps = 4", "child.toml")
    assert complaint(child).startswith("child.toml: optimizer.eps: 4.0")


def test_an_error_in_a_list_is_its_own_files_even_if_an_older_file_changed_an_entry_of_the_older_list(write):
    write(GOOD)
    write(CHILD + "[stages.0]\nepochs = 5", "child.toml")
    stages = '[[stages]]\nobjectives = ["sst"]\nschedule = "budgeted"\nepochs = 0\nbatch_size = 1'
    assert complaint(write(CHILD.replace("mine", "child") + stages, "grandchild.toml")) == \
        "grandchild.toml: stages[0].epochs: 0 is out of range: it must be at least 1"
    both = ["stages.1.epochs=3", 'stages=[{objectives=["sst"], schedule="budgeted", epochs=0, batch_size=1}]']
    assert complaint("mine.toml", *both).startswith("--set stages=[{"), "the last setting to write the value is to blame"


def test_a_wrong_score_is_never_blamed_on_the_parents_own_scores(write):
    write(GOOD)
    told = complaint(write(CHILD + "[expected]\nsts = 0.5", "child.toml"))
    assert told.startswith("child.toml: expected.sts_scale: sts and its scale")


def test_files_that_extend_each_other_in_a_circle_are_refused(write):
    write(CHILD.replace("mine.toml", "b.toml"), "a.toml")
    write(CHILD.replace("mine.toml", "./a.toml"), "b.toml")
    assert "circle" in complaint("a.toml")
    assert "circle" in complaint(write(CHILD.replace("mine", "self"), "self.toml"))


def test_a_wrong_extends_is_told(write):
    for value in ("3", "[]", "{}"):
        told = complaint(write(CHILD.replace('"mine.toml"', value)))
        assert told.startswith(f"mine.toml: extends: no recipe is called '{value}'")
    assert "null byte" in complaint(write(CHILD.replace("mine.toml", "a\\u0000.toml")))
    assert complaint(write(CHILD.replace("mine.toml", "quik"))) == "mine.toml: extends: no recipe is called 'quik'"
    assert "nothing.toml" in complaint(write(CHILD.replace("mine.toml", "nothing.toml")))


# --set


def test_settings_reach_every_depth_as_toml_or_as_plain_text(write):
    settings = ["stages.1.batch_size=32", "optimizer.betas=[0.8, 0.9]", "tasks.para.pooling=mean",
                'tasks.sst.activation="relu"', "tasks.cfimdb.dropout = 0.5", "model=a=b c"]
    recipe = load_recipe(write(GOOD), settings)
    assert recipe.stages[1].batch_size == 32 and recipe.stages[0].batch_size == 8
    assert recipe.optimizer.betas == (0.8, 0.9) and recipe.tasks["para"].pooling == "mean"
    assert recipe.tasks["sst"].activation == "relu" and recipe.model == "a=b c"
    assert recipe.tasks["cfimdb"] == TaskRecipe(encoding="single", dropout=0.5), "missing tables are made"


def test_the_last_setting_wins_and_none_leaks_into_the_next_load(write):
    assert load_recipe(write(GOOD), ["seed=1", "seed=2"]).seed == 2
    load_recipe("quick", ["stages.0.epochs=77"])
    assert load_recipe("quick").stages[0].epochs != 77


def test_an_empty_setting_takes_a_key_out(write):
    settings = ["tasks.sst.head=linear", "tasks.sst.hidden=", "tasks.para=", "stages.0.objectives.1="]
    recipe = load_recipe(write(GOOD), settings)
    assert recipe.tasks["sst"].head == "linear" and "para" not in recipe.tasks
    assert recipe.stages[0].objectives == ("sst",)


BAD_SETTINGS = [
    ("stages.7.epochs=3", "stages: a list of 2; there is no '7' in it"),
    ("stages.3.epochs=3", "stages: a list of 2; there is no '3' in it"),
    ("stages.-1.epochs=3", "stages.-1: unknown key"),
    ("stages.*.epochs=3", "a setting is KEY=VALUE"),
    ("stages.epochs=3", "stages.epochs: unknown key"),
    ("stages.0.objectives.5=sst", "stages[0].objectives: a list of 2; there is no '5' in it"),
    ("stages.0.epochs=0", "stages[0].epochs: 0 is out of range: it must be at least 1"),
    ("stages.0.epochs.x=1", "stages[0].epochs: a table is not a whole number"),
    ("stages.0=1", "stages[0]: 1 is not a table"),
    ("seed.x=1", "seed: a table is not a whole number"),
    ("optimizer.warmup=1e-5x", "optimizer.warmup: '1e-5x' is not a number"),
    ("optimizer.clip=", "optimizer.clip: '' is not a number"),
    ("optimizr.clip=1", "optimizr: unknown key"),
    ("name=", "name: this key is missing"),
    ("extends=quick", "extends: unknown key"),
    ("stages.0.epochs", "a setting is KEY=VALUE"),
    ("=3", "a setting is KEY=VALUE"),
    ("a..b=3", "a setting is KEY=VALUE"),
    ("[x] # =", "a setting is KEY=VALUE"),
    ("seed=1\nmodel=2", "a setting is KEY=VALUE"),
    ("model=\udc80", "a setting is KEY=VALUE"),
    ("", "a setting is KEY=VALUE"),
]


@pytest.mark.parametrize(("setting", "told"), BAD_SETTINGS)
def test_a_bad_setting_is_told_with_its_own_text(write, setting, told):
    message = complaint(write(GOOD), "seed=3", setting, "max_length=64")
    assert message.startswith((f"--set {setting}: ", f"--set {setting!r}: ")) and told in message


def test_a_recipe_that_trains_no_task_is_refused(write):
    told = complaint(write(GOOD), "stages.0.objectives=ranking", 'stages=[{objectives=["simcse"], schedule="budgeted", '
                     "epochs=1, batch_size=2}]")
    assert "stages: none of them trains one of the tasks 'sst', 'para', 'sts'" in told
    assert load_recipe("mine.toml", ['stages.1.objectives=["simcse"]']), "one stage may, if another trains a task"


def test_every_objective_without_labels_goes_into_a_stage_of_its_own_or_beside_a_task(write):
    write(GOOD)
    for name in PRETRAINING:
        for objectives in ([name], ["sts", name]):
            assert load_recipe("mine.toml", [f"stages.1.objectives={json.dumps(objectives)}"]).stages[1].objectives[-1] == name


# Growing, and nothing but MinbertError


@dataclass(frozen=True, kw_only=True)
class Extra:
    weight: float = key(above=0)


@dataclass(frozen=True, kw_only=True)
class Grown:
    mode: str = "a"
    extra: Extra | None = None


def test_a_new_table_is_one_dataclass_and_one_field():
    grown = build(Grown, {"extra": {"weight": 3}}, (), {})
    assert grown == Grown(extra=Extra(weight=3.0)) and build(Grown, {}, (), {}).extra is None
    assert list(write_keys(grown)) == ['mode = "a"', "extra.weight = 3.0"]
    with pytest.raises(Fault, match="above 0"):
        build(Grown, {"extra": {"weight": 0}}, (), {})


def random_value(generator, depth=0):
    simple = [0, -1, 2**70, 1.5, 1e308, True, "", "x", "mlp", "é\n", "\x7f", "independent", "round_robin"]
    if depth < 3 and generator.random() < 0.4:
        if generator.random() < 0.5:
            return [random_value(generator, depth + 1) for _ in range(generator.randrange(3))]
        names = generator.sample(["sst", "head", "epochs", "stages", "optimizer", "odd key", "\n"], 3)
        return {name: random_value(generator, depth + 1) for name in names[:generator.randrange(4)]}
    return generator.choice(simple)


def as_toml(value):
    if isinstance(value, dict):
        pairs = (f"{json.dumps(name)} = {as_toml(entry)}" for name, entry in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return json.dumps(value).replace("\x7f", "\\u007f")


def test_random_structures_raise_nothing_but_minbert_error(write):
    generator = random.Random(0)
    keys = ["name", "source", "expected", "seed", "tasks", "stages", "optimizer", "extends"]
    places = [*keys, "tasks.sst", "tasks.sst.head", "optimizer.betas", "stages.0", "stages.0.objectives",
              "stages.1.schedule", "stages.1.length", "select_by"]
    refused = 0
    for _ in range(100):
        table = {name: random_value(generator) for name in generator.sample(keys, 3)}
        text = "\n".join(f"{name} = {as_toml(value)}" for name, value in table.items())
        settings = [f"{generator.choice(places)}={as_toml(random_value(generator))}" for _ in range(3)]
        for name, chosen in ((write(text, "random.toml"), []), (write(GOOD), settings)):
            try:
                load_recipe(name, chosen)
            except MinbertError as error:
                assert "\n" not in error.message
                refused += 1
    assert refused > 150, "random structures should nearly always be refused"


def test_randomly_damaged_text_raises_nothing_but_minbert_error(write):
    generator = random.Random(1)
    for _ in range(100):
        letters = list(GOOD)
        for _ in range(generator.randrange(1, 4)):
            letters[generator.randrange(len(letters))] = generator.choice(["", *'=["\n\x00é.9'])
        try:
            load_recipe(write("".join(letters)))
        except MinbertError as error:
            assert "\n" not in error.message
