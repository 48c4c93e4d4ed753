"""The loop and its state: same seed, same weights; stop anywhere, go on as if nothing had been."""

import copy
from dataclasses import replace

import pytest
import torch
from small_run import assert_same_state, data, make_model, recipe, save_tiny_bert, tokenizer

from minbert.files import MinbertError
from multitask.checkpoint import build_model
from multitask.recipe import BregmanRecipe, EncoderRecipe, RDropRecipe, SmartRecipe
from multitask.stage import Parts, start_stage
from multitask.train import run_stage


def start(some_recipe, seed: int = 0):
    """A stage's state and schedule, at its first step, from nothing but a recipe and a seed."""
    model = make_model(some_recipe, seed=seed)
    return start_stage(some_recipe, 0, Parts(model, tokenizer(), data()))


def train(some_recipe, steps: int | None = None, seed: int = 0):
    state, schedule = start(some_recipe, seed)
    losses = []
    for step in run_stage(state, schedule, some_recipe.stages[0].epochs, clip=1.0):
        losses.append((step.epoch, step.step, *((name, loss.item()) for name, loss in step.losses.items())))
        if len(losses) == steps:
            break
    return state, losses


def same_weights(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_an_epoch_of_the_budgeted_schedule_reads_every_example_once():
    state, schedule = start(recipe(epochs=1))
    rows = {name: [] for name in state.objectives}
    for name, objective in state.objectives.items():
        collate = objective.stream.collate
        objective.stream.collate = lambda some, name=name, collate=collate: rows[name].extend(e.id for e in some) or collate(some)
    for _ in run_stage(state, schedule, 1, clip=1.0):
        pass
    assert all(len(ids) == len(set(ids)) == 14 for ids in rows.values())


def test_the_end_of_an_epoch_is_announced_once_per_epoch():
    some_recipe = recipe()
    state, schedule = start(some_recipe)
    ends = [(step.epoch, step.step) for step in run_stage(state, schedule, 2, clip=1.0) if step.ends_epoch]
    assert ends == [(1, len(schedule(1))), (2, len(schedule(2)))]


def test_only_the_trained_tasks_head_moves_in_a_step():
    some_recipe = recipe(schedule="sequential_epoch")
    before = make_model(some_recipe).state_dict()
    state, _ = train(some_recipe, steps=3)  # all of sst; the first step's learning rate is 0
    moved = {name.split(".")[1] for name, tensor in state.model.state_dict().items()
             if name.startswith("heads.") and not torch.equal(tensor, before[name])}
    assert moved == {"sst"}, "heads of tasks that took no part must stay: not even weight decay may move them"


def test_a_frozen_encoder_stays_bit_for_bit_while_heads_learn():
    some_recipe = recipe(train="last-linear-layer")
    before = make_model(some_recipe).state_dict()
    state, _ = train(some_recipe)
    after = state.model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before if name.startswith("encoder."))
    assert not any(torch.equal(after[name], before[name]) for name in before if name.endswith("layers.1.weight")
                   and name.startswith("heads."))


def test_the_gradient_is_clipped_to_the_recipes_norm():
    state, schedule = start(recipe())
    norms = []
    step_of = state.optimizer.step

    def step():
        gradients = [parameter.grad.norm() for parameter in state.model.parameters() if parameter.grad is not None]
        norms.append(torch.stack(gradients).norm().item())
        step_of()

    state.optimizer.step = step
    for _ in run_stage(state, schedule, 1, clip=0.01):
        pass
    assert norms and max(norms) < 0.0101, f"a step with a gradient of length {max(norms):.3g}: clip before the step, to 0.01"


def test_every_step_starts_from_no_gradient():
    state, schedule = start(recipe())
    for step in run_stage(state, schedule, 1, clip=1.0):
        left = [name for name, parameter in state.model.named_parameters() if parameter.grad is not None]
        assert not left, f"{left[0]} and others: the gradient of the step before is not cleared, and is added to the next"
        if step.step == 2:
            break


def test_a_step_of_several_batches_is_one_of_their_mean_and_reads_each_once():
    def gradient(**stage) -> tuple[dict[str, torch.Tensor], list[str]]:
        some_recipe = recipe(objectives=("sts",), schedule="sequential_epoch", **stage)
        state, schedule = start(some_recipe)
        for module in state.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        read, output, seen = [], state.objectives["sts"].output, {}
        state.objectives["sts"].output = lambda model, batch: read.extend(batch.ids) or output(model, batch)
        state.optimizer.step = lambda: seen.update({name: parameter.grad.clone() for name, parameter
                                                    in state.model.named_parameters() if parameter.grad is not None})
        next(run_stage(state, schedule, 1, clip=1e9))
        return seen, read

    parts, read = gradient(batch_size=2, accumulate=7)
    assert len(set(read)) == len(read) == 14, "the same batch was read again: every accumulated batch is to be a new one"
    whole, _ = gradient(batch_size=14)
    for name in whole:
        assert torch.allclose(parts[name], whole[name], atol=1e-5), \
            f"{name}: 7 batches of 2 must give the gradient of one larger batch of 14: are they summed, not averaged?"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_before_the_step(value):
    state, _ = start(recipe())
    before = copy.deepcopy(state.model.state_dict())
    state.objectives["sts"].loss = lambda output, batch: output.sum() * value
    with pytest.raises(MinbertError, match="the loss of sts is .*in epoch 1, step 1 .*sts0-") as caught:
        next(run_stage(state, lambda epoch: [("sts",)], 1, clip=1.0))
    assert caught.value.exit_code == 5
    assert all(parameter.grad is None for parameter in state.model.parameters()), "whoever goes on would begin with nan"
    assert all(torch.equal(before[name], tensor) for name, tensor in state.model.state_dict().items())


def test_several_tasks_in_one_step_give_the_gradient_of_the_summed_loss():
    state, _ = start(recipe())
    for module in state.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    batches = {name: objective.next_batch() for name, objective in state.objectives.items()}
    for name, objective in state.objectives.items():
        objective.next_batch = lambda name=name: batches[name]
    total = sum(objective.loss(objective.output(state.model, batches[name]), batches[name])
                for name, objective in state.objectives.items())
    expected = torch.autograd.grad(total, list(state.model.encoder.parameters()), allow_unused=True)
    seen = []
    state.optimizer.step = lambda: seen.extend(parameter.grad.clone() if parameter.grad is not None else None
                                               for parameter in state.model.encoder.parameters())
    next(run_stage(state, lambda epoch: [("sst", "para", "sts")], 1, clip=1e9))
    for one, other in zip(seen, expected, strict=True):
        assert one is None and other is None or torch.allclose(one, other, atol=1e-6), \
            "every task's gradient counts in a joint step: their sum, not the last one's"


@pytest.mark.parametrize("name, expected", [("constant", [1, 1, 1, 1]), ("linear", [0, 0.5, 1, 21 / 22])])
def test_only_schedules_that_warm_up_start_at_zero(name, expected):
    some_recipe = recipe()  # 24 steps, the first tenth of them warm up
    some_recipe = replace(some_recipe, optimizer=replace(some_recipe.optimizer, schedule=name))
    state, schedule = start(some_recipe)
    rates = []
    for _ in range(4):
        rates.append(state.learning_rate.current[0] / 1e-3)
        state.learning_rate.step()
    assert rates == pytest.approx(expected)


def gradients_of_one_step(**stage) -> dict[str, torch.Tensor]:
    """Every parameter's gradient in the first step of a joint stage, clipping and dropout off."""
    state, schedule = start(recipe(schedule="joint_min", **stage))
    for module in state.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    seen = {}
    state.optimizer.step = lambda: seen.update({name: parameter.grad.clone() for name, parameter
                                                in state.model.named_parameters() if parameter.grad is not None})
    next(run_stage(state, schedule, 1, clip=1e9))
    return seen


@pytest.mark.parametrize("combine", ["pcgrad", "gradvac"])
def test_surgery_changes_the_shared_gradient_and_leaves_the_heads_alone(combine):
    plain, changed = gradients_of_one_step(), gradients_of_one_step(combine=combine)
    assert plain.keys() == changed.keys(), "a parameter without a gradient must not get one of zeros"
    heads = [name for name in plain if name.startswith("heads.")]
    assert heads and all(torch.equal(plain[name], changed[name]) for name in heads), "a head belongs to its task alone"
    difference = torch.cat([(plain[name] - changed[name]).flatten() for name in plain if name not in heads]).norm()
    total = torch.cat([plain[name].flatten() for name in plain if name not in heads]).norm()
    assert difference > 1e-3 * total, f"{combine} does nothing: did the step see one task only?"


def test_a_vaccine_whose_targets_stay_at_zero_is_pcgrad_in_training_too():
    torch.manual_seed(0)
    one, other = gradients_of_one_step(combine="pcgrad"), gradients_of_one_step(combine="gradvac", gradvac_beta=0.0)
    for name in one:
        assert torch.allclose(one[name], other[name], atol=1e-5), name


@pytest.mark.parametrize("groups, count", [("all_layer", 21), ("all_matrix", 39)])
def test_the_vaccine_can_have_a_target_per_layer_or_per_matrix(groups, count):
    state, schedule = start(recipe(schedule="joint_min", combine="gradvac", gradvac_groups=groups))
    next(run_stage(state, schedule, 1, clip=1.0))
    assert state.combine.targets_NNG.shape == (3, 3, len(state.combine.groups))
    assert len(state.combine.groups) == count, "embeddings 4 modules, each of 2 layers 8, the pooler 1; a tensor each"


def test_a_step_trains_with_dropout_whatever_the_caller_did_between_steps():
    state, schedule = start(recipe())
    for step in run_stage(state, schedule, 1, clip=1.0):
        assert state.model.training, "dropout is off: evaluation between two steps left the model in eval mode"
        state.model.eval()  # as an evaluation would
        if step.step == 3:
            break


def test_another_seed_in_the_recipe_is_another_order_of_the_data():
    first = [start(replace(recipe(), seed=seed))[0].objectives["sst"].next_batch().ids for seed in (1, 1, 2, 3)]
    assert first[0] == first[1] and len(set(first)) > 1


def test_one_seed_gives_bit_equal_weights():
    (one, losses), (two, again), (other, _) = train(recipe()), train(recipe()), train(recipe(), seed=1)
    assert losses == again and same_weights(one.model, two.model)
    assert not same_weights(one.model, other.model)


@pytest.mark.parametrize("kind, stops", [("budgeted", range(1, 25)), ("round_robin", (5, 12, 13)),
                                         ("sequential_epoch", (5, 12, 13)), ("sequential_tasks", (5, 12, 13)),
                                         ("pcgrad", (1, 4, 7)), ("gradvac", (1, 4, 7))])
def test_a_run_stopped_at_any_step_goes_on_to_the_same_weights(kind, stops):
    some_recipe = recipe(schedule="joint_min", combine=kind) if kind in ("pcgrad", "gradvac") else recipe(schedule=kind)
    whole, losses = train(some_recipe)
    assert len(losses) == (8 if kind in ("pcgrad", "gradvac") else 24)
    for stop in stops:
        state, _ = train(some_recipe, steps=stop)
        saved = copy.deepcopy(state.state_dict())
        torch.manual_seed(999)  # another process starts with other random numbers
        resumed, schedule = start(some_recipe, seed=5)
        resumed.load_state_dict(saved)
        rest = [(step.epoch, step.step, *((name, loss.item()) for name, loss in step.losses.items()))
                for step in run_stage(resumed, schedule, some_recipe.stages[0].epochs, clip=1.0)]
        assert rest == losses[stop:], f"stopped after step {stop}, the losses went another way"
        assert same_weights(resumed.model, whole.model)


def test_training_lowers_the_loss():
    _, losses = train(recipe(epochs=30))
    first, last = ([loss for *_, (name, loss) in part if name == "sts"] for part in (losses[:20], losses[-20:]))
    assert sum(last) / len(last) < 0.5 * sum(first) / len(first)


def optimizer(some_recipe, **changes):
    return replace(some_recipe, optimizer=replace(some_recipe.optimizer, **changes))


def short(**stage):
    """Two epochs of 6 steps."""
    return recipe(**{"schedule": "round_robin", "batch_size": 7, **stage})


def encoder(**changes):
    return replace(short(), encoder=EncoderRecipe(**changes))


JOINT = {"schedule": "joint_min"}
TECHNIQUES = {
    "bregman, smart and r_drop": short(bregman=BregmanRecipe(steps=2), smart=SmartRecipe(dropout="on"), r_drop=RDropRecipe(),
                                       objectives=("sst", "sts")),
    "ema": optimizer(short(), average="ema"),
    "swa": optimizer(short(epochs=3), average="swa"),
    "halve_on_rise": short(objectives=("sst",), epochs=6, learning_rate_schedule="halve_on_rise"),
    "gradvac and accumulate": recipe(combine="gradvac", gradvac_beta=0.5, accumulate=2, batch_size=2, **JOINT),
    "pcgrad and accumulate": recipe(combine="pcgrad", accumulate=2, batch_size=2, **JOINT),
    "accumulate": short(accumulate=3, batch_size=2),
    "frozen": optimizer(short(train="last-linear-layer"), average="ema"),
    "frozen, with dropout": short(train="last-linear-layer", frozen_dropout=True),
    "annealed": recipe(schedule="annealed", steps_per_epoch=5),
    "equal_resample": recipe(schedule="equal_resample", resample=10),
    "epoch_dropout": short(schedule="epoch_dropout"),
    "masked_lm": recipe(objectives=("masked_lm",), schedule="sequential_epoch", batch_size=16),
    "masked_lm beside a task": short(objectives=("masked_lm", "sst"), length="min"),
    "simcse": recipe(objectives=("simcse",), schedule="sequential_epoch", batch_size=16),
    "sentiment_ranking": recipe(objectives=("sentiment_ranking",), schedule="sequential_epoch"),
    "separate": encoder(kind="separate"),
    "pal": encoder(kind="pal", size=8, heads=2),
    "amsgrad": optimizer(short(), amsgrad=True, form="cs224n", layer_decay=0.5),
    "bf16": replace(short(), precision="bf16"),
}


def start_of_any_kind(some_recipe, folder, seed: int):
    torch.manual_seed(seed)
    model = build_model(some_recipe, folder, tokenizer())
    for parameter in model.parameters():  # as if an earlier stage had trained the encoder, too
        parameter.data += 0.01 * seed
    state, schedule = start_stage(some_recipe, 0, Parts(model, tokenizer(), data(), folder))
    if some_recipe.stages[0].learning_rate_schedule == "halve_on_rise":  # losses that rise: a sum of powers of 2 is exact
        state.objectives["sst"].loss = lambda output, batch: 0 * output.sum() + 2.0 ** state.epoch
    return state, schedule


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return save_tiny_bert(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("name", TECHNIQUES)
def test_a_run_with_any_technique_stopped_anywhere_goes_on_to_the_same_state(name, model_folder):
    some_recipe = TECHNIQUES[name]
    epochs = some_recipe.stages[0].epochs
    whole, schedule = start_of_any_kind(some_recipe, model_folder, seed=0)
    saved, losses = [], []
    for step in run_stage(whole, schedule, epochs, clip=1.0):
        saved.append(copy.deepcopy(whole.state_dict()))
        losses.append((step.epoch, step.step, step.losses, step.penalties))
    for stop in (len(schedule(1)), 2 * len(losses) // 3 + 1):  # at an epoch's end, inside an epoch
        torch.manual_seed(999)  # another process starts with other random numbers, and other heads
        resumed, schedule = start_of_any_kind(some_recipe, model_folder, seed=5)
        resumed.load_state_dict(copy.deepcopy(saved[stop - 1]))
        rest = [(step.epoch, step.step, step.losses, step.penalties) for step in run_stage(resumed, schedule, epochs, clip=1.0)]
        assert_same_state(rest, losses[stop:], f"{name}, stopped after step {stop}: the loss of a later step")
        assert_same_state(resumed.state_dict(), whole.state_dict(), f"{name}, stopped after step {stop}: ")


def test_a_halved_rate_is_still_halved_after_a_stop(model_folder):
    some_recipe = TECHNIQUES["halve_on_rise"]
    state, schedule = start_of_any_kind(some_recipe, model_folder, seed=0)
    for _ in run_stage(state, schedule, 5, clip=1.0):
        pass
    resumed, _ = start_of_any_kind(some_recipe, model_folder, seed=5)
    assert resumed.learning_rate.current == [1e-3] * len(resumed.learning_rate.current)
    resumed.load_state_dict(copy.deepcopy(state.state_dict()))
    assert resumed.learning_rate.current == [0.5e-3] * len(resumed.learning_rate.current)
    assert resumed.learning_rate.factor.rises == 1, "the losses of epochs 2 to 4 rose and halved the rate, that of 5 rose"


def test_a_saved_state_is_plain_data_and_survives_a_file(model_folder, tmp_path):
    some_recipe = TECHNIQUES["bregman, smart and r_drop"]
    state, schedule = start_of_any_kind(some_recipe, model_folder, seed=0)
    next(run_stage(state, schedule, 1, clip=1.0))
    torch.save(state.state_dict(), tmp_path / "state.pt")
    assert_same_state(torch.load(tmp_path / "state.pt", weights_only=True), state.state_dict(), "the file's state")
