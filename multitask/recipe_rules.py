"""What keys of a recipe do not go together: a setting that means nothing beside another is refused, not ignored."""

import re
from collections.abc import Iterator

from multitask.closest import closest, offer
from multitask.recipe import ENCODINGS, JOINT, PRETRAINING, READS, USED_BY, PretrainingRecipe, Recipe, StageRecipe, TaskRecipe
from multitask.strict_toml import Place, listed, show
from multitask.tables import TASKS

Conflict = tuple[Place, str] | tuple[Place, str, str]  # where, what is wrong, and perhaps a hint


def find_conflicts(recipe: Recipe) -> Iterator[Conflict]:
    """Whatever breaks the rules that look at more than one key."""
    if not re.fullmatch(r"[a-z0-9_-]+(/[a-z0-9_-]+)*", recipe.name):
        yield ("name",), f"{show(recipe.name)} is not made of a-z, 0-9, _ and -, with / between the parts"
    for score in ("sts", "overall"):
        if (getattr(recipe.expected, score) is None) != (getattr(recipe.expected, f"{score}_scale") is None):
            yield ("expected", f"{score}_scale"), f"{score} and its scale ('r', or 'normalised': (r + 1) / 2) go together"
    if recipe.select_by in TASKS and recipe.select_by not in recipe.tasks:
        yield ("select_by",), f"{show(recipe.select_by)} is not one of the recipe's tasks {listed(recipe.tasks)}"
    for choice, file in (("part_of_speech", "tag_file"), ("synonyms", "synonym_file")):
        if getattr(recipe.features, choice) == "file" and not getattr(recipe.features, file):
            yield ("features", file), "this key is missing"
    if recipe.features.synonyms != "none" and any(stage.fraction for stage in recipe.stages):
        # a copy could land in another part than its original
        yield ("features", "synonyms"), "does not go with fraction in a stage"
    if all(stage.train == "last-linear-layer" for stage in recipe.stages):
        needs = "needs a stage that trains the encoder, train = 'full-model'"
        if recipe.encoder.kind != "shared":
            yield ("encoder", "kind"), f"'{recipe.encoder.kind}' {needs}"
        if recipe.features.part_of_speech != "none":
            yield ("features", "part_of_speech"), needs
    for name, task in recipe.tasks.items():
        for place, wrong in find_task_conflicts(name, task):
            yield ("tasks", name, place), wrong
    for number, stage in enumerate(recipe.stages):
        for place, *wrong in (*find_stage_conflicts(recipe, stage), *find_pretraining_conflicts(recipe, stage)):
            yield ("stages", number, *place), *wrong
    if all(name in PRETRAINING for stage in recipe.stages for name in stage.objectives):
        yield ("stages",), f"none of them trains one of the tasks {listed(recipe.tasks)}"


def find_task_conflicts(name: str, task: TaskRecipe) -> Iterator[tuple[str, str]]:
    """(key, what is wrong) of one task's table."""
    kind = TASKS[name].kind
    if task.encoding not in ENCODINGS[name]:
        yield "encoding", f"'{task.encoding}' is not one of {listed(ENCODINGS[name])}"
    if task.head == "cosine" and (kind != "score" or task.encoding != "independent"):
        yield "head", "'cosine' is for sts with encoding = 'independent'"
    fitting = {"classes": ("labels", "regression", "one_hot"), "binary": ("labels",), "score": ("labels", "classes5", "classes6")}
    if task.target not in fitting[kind]:
        yield "target", f"'{task.target}' is not one of {listed(fitting[kind])}, which {name}'s labels allow"
    if task.output_range != "free" and kind != "score":
        yield "output_range", f"'{task.output_range}' is for tasks whose labels are scores"


def find_stage_conflicts(recipe: Recipe, stage: StageRecipe) -> Iterator[Conflict]:
    """Whatever breaks the rules of one stage; places start in the stage."""
    for index, name in enumerate(stage.objectives):
        needed = READS.get(name, name)
        if name in stage.objectives[:index]:
            yield ("objectives", index), f"{show(name)} is in the list twice"
        elif needed in TASKS and needed not in recipe.tasks:
            reads = "is" if needed == name else f"reads {needed}, which is"
            yield ("objectives", index), f"{show(name)} {reads} not one of the recipe's tasks {listed(recipe.tasks)}"
        elif name not in TASKS and name not in PRETRAINING:
            known = (*TASKS, *PRETRAINING)
            hint = offer(closest(name, known)) or f"known are {listed(known)}"
            yield ("objectives", index), f"{show(name)} is no objective", hint
    several = len(stage.objectives) > 1
    unsupervised = [name for name in stage.objectives if name in PRETRAINING]
    if unsupervised and stage.schedule == "equal_resample":
        yield ("schedule",), f"'equal_resample' draws the rows of tasks; '{unsupervised[0]}' has none of its own"
    if unsupervised and stage.short_batches == "nominal":
        yield ("short_batches",), f"'nominal' is for tasks; the batches of '{unsupervised[0]}' differ in size"
    if stage.patience and stage.schedule == "sequential_tasks":
        yield ("patience",), "would stop before the later tasks of 'sequential_tasks' have had their turn"
    if (stage.learning_rate_schedule or recipe.optimizer.schedule) == "halve_on_rise" and stage.schedule in (
            "sequential_tasks", "epoch_dropout"):
        yield ("schedule",), f"the epochs of '{stage.schedule}' train different tasks, whose losses 'halve_on_rise' would compare"
    if stage.select_by and not stage.patience and stage.end_with != "best":
        yield ("select_by",), "only goes with patience or end_with = 'best': the run's best checkpoint goes by the recipe's"
    if stage.end_with == "best" and stage is recipe.stages[-1]:
        yield ("end_with",), "is for a stage that another follows: the run keeps its best checkpoint anyway"
    if stage.smart and stage.smart.dropout == "on" and recipe.precision == "bf16":
        yield ("smart", "dropout"), "'on' compares the training pass with one in float32: with bf16 that measures rounding"
    if stage.steps_per_epoch and (stage.schedule == "epoch_dropout" or (stage.schedule.startswith("sequential") and several)):
        yield ("steps_per_epoch",), f"'{stage.schedule}' is a full pass over every task"
    if stage.steps_per_epoch and (stage.schedule in JOINT or stage.budget):
        yield ("steps_per_epoch",), f"'{stage.schedule}' sets the number of steps itself"
    if not stage.steps_per_epoch and stage.schedule in ("proportional", "sqrt", "annealed"):
        yield ("steps_per_epoch",), f"this key is missing: '{stage.schedule}' draws without end"
    if stage.combine != "sum" and not (several and stage.train == "full-model" and recipe.encoder.kind != "separate"):
        yield ("combine",), f"'{stage.combine}' needs two tasks or more that share a trained encoder"
    for table in ("budget", "probabilities", "weights", "fraction"):
        for name in getattr(stage, table) or ():
            if name not in stage.objectives:
                near = closest(name, stage.objectives)
                yield (table, name), f"not one of the stage's objectives {listed(stage.objectives)}", offer(near)
    for name, (start, end) in (stage.fraction or {}).items():
        if not start < end or (name in PRETRAINING and name not in READS):
            yield ("fraction", name), (f"[{start}, {end}] is not a part [from, to] of a whole" if start >= end
                                       else "this objective reads every task's text: it has no rows of its own")
    for name in stage.budget and stage.objectives or ():
        if name not in stage.budget:
            yield ("budget", name), "this key is missing: a budget names every objective"
    for table in ("smart", "bregman", "r_drop"):
        if penalty := getattr(stage, table):
            for name in penalty.tasks or stage.objectives:
                if name not in stage.objectives or name in PRETRAINING:
                    near = closest(name, [task for task in stage.objectives if task in TASKS])
                    yield (table, "tasks"), f"{show(name)} is not a task that this stage trains", offer(near)
    if stage.smart and stage.train == "last-linear-layer":
        yield ("smart",), "smooths the encoder's neighbourhood: it needs train = 'full-model'"
    if stage.accumulate == 1 and stage.accumulate_by != "mean":
        yield ("accumulate_by",), "only goes with accumulate = 2 or more"
    for index, name in enumerate(stage.objectives):
        task = recipe.tasks.get(name)
        if stage.train == "last-linear-layer" and task and (task.head, task.projection) == ("cosine", "none"):
            yield ("objectives", index), f"{show(name)} has no weights to train: a cosine has none, and the encoder is frozen"
    if stage.select_by in TASKS and stage.select_by not in recipe.tasks:
        yield ("select_by",), f"{show(stage.select_by)} is not one of the recipe's tasks {listed(recipe.tasks)}"


def find_pretraining_conflicts(recipe: Recipe, stage: StageRecipe) -> Iterator[tuple[Place, str]]:
    """(place in the stage, what is wrong) with objectives that need no labels of a task's own head."""
    unsupervised = [name for name in stage.objectives if name in PRETRAINING]
    if unsupervised and (stage.train == "last-linear-layer" or recipe.encoder.kind != "shared"):
        place = ("objectives", stage.objectives.index(unsupervised[0]))
        yield place, (f"'{unsupervised[0]}' needs one shared encoder that is trained; encoder.kind is '{recipe.encoder.kind}', "
                      f"this stage's train '{stage.train}'")
    if stage.pretraining and not unsupervised:
        yield ("pretraining",), f"only goes with one of the objectives {listed(PRETRAINING)}"
    for name, users in USED_BY.items():
        given = stage.pretraining and getattr(stage.pretraining, name) != getattr(PretrainingRecipe, name)
        if given and not set(users) & set(unsupervised):
            yield ("pretraining", name), f"only goes with one of the objectives {listed(users)}"
    if "simcse" in unsupervised and stage.select_by == "loss":
        yield ("select_by",), "'simcse' has no loss on dev: without dropout there is nothing to compare"
    watched = stage.patience or stage.end_with == "best"
    if watched and len(unsupervised) == len(stage.objectives) and stage.select_by != "loss":
        yield ("select_by",), "it must be 'loss' for patience or end_with = 'best': this stage has no task's score yet"
