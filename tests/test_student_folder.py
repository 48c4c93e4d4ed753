"""What a CS224N starter's optimizer must do, in either of the two usual forms; and `--student PATH` itself."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from nested_run import TESTS, run_nested
from student_folder import FILES
from test_adamw import CAUSES, gone_wrong
from tiny import CONFIG
from torch import nn

import minbert
from minbert.bert import BertLayer
from optim import AdamW

GRADIENTS = [0.3, -2.0, 0.0, 1e-3, 5.0, 0.1, -0.2, 0.0, 0.0, 1.5]
SETTINGS = {"lr": 0.1, "betas": (0.8, 0.9)}
WRONG_DECAY = ("coupled", "coupled and decoupled", "no decay", "decay without lr", "decay by the corrected rate", "growth",
               "other order")
WRONG_STEP = [name for name in CAUSES if name not in (*WRONG_DECAY, "other eps")]  # both places of eps will do


def one_weight(**options) -> float:
    """Where the optimizer on test takes a weight of 2."""
    weight = nn.Parameter(torch.tensor([2.0], dtype=torch.double))
    optimizer = AdamW([weight], form="cs224n", **options)
    for gradient in GRADIENTS:
        weight.grad = torch.tensor([gradient], dtype=torch.double)
        optimizer.step()
    return weight.item()


@pytest.mark.course
def test_the_step_is_adams_in_the_efficient_or_the_corrected_form():
    options = {**SETTINGS, "eps": 0.05, "weight_decay": 0.0}
    found, forms = one_weight(**options), ("cs224n", "torch")
    for name in WRONG_STEP:
        assert all(found != pytest.approx(gone_wrong(2.0, GRADIENTS, name, **options, form=form), abs=1e-10) for form in forms), \
            CAUSES[name]
    efficient, corrected = (gone_wrong(2.0, GRADIENTS, "", **options, form=form) for form in forms)
    assert found == pytest.approx(efficient, abs=1e-12) or found == pytest.approx(corrected, abs=1e-12), \
        f"without decay 10 steps end at {found:.6f}, the handout's efficient form at {efficient:.6f}, the form with m and v " \
        f"corrected at {corrected:.6f}: are both averages updated once a step, with the group's betas, eps and lr?"


@pytest.mark.course
def test_the_decay_comes_after_the_step_and_by_the_learning_rate():
    options = {**SETTINGS, "eps": 1e-12, "weight_decay": 0.5}  # next to no eps: both forms step alike
    found = one_weight(**options)
    for name in WRONG_DECAY:
        assert found != pytest.approx(gone_wrong(2.0, GRADIENTS, name, **options, form="cs224n"), abs=1e-9), \
            CAUSES[name] if name != "other order" else "the decay takes the weight from before the step, as torch's AdamW " \
            "does: the handout decays the weight just moved"
    assert found == pytest.approx(gone_wrong(2.0, GRADIENTS, "", **options, form="cs224n"), abs=1e-9), \
        "after each step the weight must shrink by lr * weight_decay of itself (if the step itself is right)"


@pytest.mark.course
def test_every_group_has_its_own_rate_and_decay():
    slow, fast = (nn.Parameter(torch.ones(1, dtype=torch.double)) for _ in range(2))
    groups = [{"params": [slow], "lr": 0.01, "weight_decay": 0.0}, {"params": [fast], "weight_decay": 0.0}]
    optimizer = AdamW(groups, lr=0.5, weight_decay=0.1, form="cs224n")
    for gradient in (0, 1):
        assert slow.item() == fast.item() == 1, "the groups have no weight decay: read it from the group, not from the defaults"
        slow.grad, fast.grad = torch.full_like(slow, gradient), torch.full_like(fast, gradient)
        optimizer.step()
    ratio = (1 - fast.item()) / (1 - slow.item())
    assert ratio == pytest.approx(50), f"rates of .5 and .01 make steps {ratio:.3g} apart, not 50: read lr from the group"


@pytest.mark.course
def test_a_parameter_without_a_gradient_waits_and_one_with_zeros_moves_on():
    parameter = nn.Parameter(torch.ones(1, dtype=torch.double))
    optimizer = AdamW([parameter], form="cs224n", weight_decay=0.0, **SETTINGS)
    parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    moved, parameter.grad = parameter.item(), None
    optimizer.step()
    assert parameter.item() == moved, "a parameter whose gradient is None (frozen, or of another task) must be left alone"
    parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert parameter.item() < moved, "with a gradient of zeros a weight moves on by momentum: the average m is lost between steps"


@pytest.mark.course
def test_a_step_leaves_the_gradient_as_it_was():
    parameter = nn.Parameter(torch.ones(2, dtype=torch.double))
    optimizer = AdamW([parameter], form="cs224n", weight_decay=0.0, **SETTINGS)
    parameter.grad = torch.tensor([3.0, -2.0], dtype=torch.double)
    optimizer.step()
    assert parameter.grad.tolist() == [3.0, -2.0], "step() changed the gradient in place"


@pytest.mark.course
def test_both_layer_norms_of_a_layer_have_berts_eps():
    layer, small = BertLayer(CONFIG).double(), 1e-5 * torch.linspace(-1, 1, 16, dtype=torch.double)
    for name in ("attention_norm", "output_norm"):
        spread = getattr(layer, name)(small).std(unbiased=False).item()
        assert spread > 0.9, f"vectors of size 1e-5 leave {name} with spread {spread:.2g}, not 1: its eps is not 1e-12"


# --student PATH itself

STARTER = TESTS / "starter"
SCALE = ("bert.py", " / math.sqrt(self.attention_head_size)", "")
EARLY_DROPOUT = ("bert.py", "dropout(dense_layer(output))", "dense_layer(dropout(output))")
COUPLED = ("optimizer.py", "grad, state = p.grad.data, self.state[p]\n",
           "grad, state = p.grad.data + group['weight_decay'] * p.data, self.state[p]\n")
NO_DECAY = ("optimizer.py", "p.data.add_(p.data, alpha=-group[\"lr\"] * group[\"weight_decay\"])", "pass")
SAID = {  # in the starter's shape: the mistake, and what the message of a failing test must say
    "attention without the scale": (*SCALE, r"sqrt\(head size\) forgotten"),
    "dropout in front of the dense layer": (*EARLY_DROPOUT, r"dropout\(dense\(x\)\), not dense\(dropout\(x\)\)"),
    "weight decay in the gradient as well": (*COUPLED, "acts twice"),
    "attention scaled by the hidden size": ("bert.py", "math.sqrt(self.attention_head_size)", "math.sqrt(self.all_head_size)",
                                            "root of the hidden size"),
    "mask after the softmax": ("bert.py", "F.softmax(scores, dim=-1))", "F.softmax(query @ key.transpose(-1, -2) / math.sqrt("
                               "self.attention_head_size), dim=-1) * (attention_mask == 0))", "before the softmax"),
    "mask forgotten": ("bert.py", "scores = scores + attention_mask", "pass", "mask is ignored"),
    "softmax over the queries": ("bert.py", "F.softmax(scores, dim=-1)", "F.softmax(scores, dim=-2)", "over the keys"),
    "attention dropout forgotten": ("bert.py", "self.dropout(F.softmax(scores, dim=-1))", "F.softmax(scores, dim=-1)",
                                    "built but not applied"),
    "heads joined without the transpose": ("bert.py", "(probabilities @ value).transpose(1, 2)", "probabilities @ value",
                                           "head 1's values reached head 0's part"),
    "query and key swapped": ("bert.py", "self.attention(key_layer, query_layer,", "self.attention(query_layer, key_layer,",
                              "query and key are swapped"),
    "no residual": ("bert.py", "ln_layer(input + dropout", "ln_layer(dropout", "residual is missing"),
    "LayerNorm on the branch alone": ("bert.py", "ln_layer(input + dropout(dense_layer(output)))",
                                      "input + ln_layer(dropout(dense_layer(output)))", "after the sum"),
    "dropout after LayerNorm": ("bert.py", "ln_layer(input + dropout(dense_layer(output)))",
                                "dropout(ln_layer(input + dense_layer(output)))", "dropout is missing|belongs on the branch"),
    "tanh GELU": ("bert.py", "self.interm_af = F.gelu", "self.interm_af = lambda z: F.gelu(z, approximate='tanh')",
                  "tanh approximation"),
    "eps of LayerNorm": ("bert.py", "eps=config.layer_norm_eps", "eps=1e-5", "1e-12"),
    "positions from 1": ("bert.py", "[:, : input_ids.shape[1]]", "[:, 1 : input_ids.shape[1] + 1]", "positions start at 1"),
    "token types left out": ("bert.py", "words + positions + types", "words + positions", "token types are ignored"),
    "embedding dropout before LayerNorm": ("bert.py", "self.embed_dropout(self.embed_layer_norm(words + positions + types))",
                                           "self.embed_layer_norm(self.embed_dropout(words + positions + types))",
                                           "before LayerNorm"),
    "pooler on the mean": ("bert.py", "self.pooler_dense(hidden_states[:, 0])", "self.pooler_dense(hidden_states.mean(1))",
                           "mean of all tokens"),
    "pooler without tanh": ("bert.py", "self.pooler_af(self.pooler_dense(hidden_states[:, 0]))",
                            "self.pooler_dense(hidden_states[:, 0])", "tanh is missing"),
    "the first layer's input to all": ("bert.py", "hidden_states = layer(hidden_states, mask)",
                                       "first = locals().get('first', hidden_states); hidden_states = layer(first, mask)",
                                       "read the one before it"),
    "no bias correction": ("optimizer.py", 'if group["correct_bias"]:', "if False:", "bias correction is missing"),
    "eps inside the root": ("optimizer.py", 'state["v"].sqrt().add_(group["eps"])', '(state["v"] + group["eps"]).sqrt()',
                            "eps is inside the root"),
    "two steps in one": ("optimizer.py", 'state["t"] += 1', 'state["t"] += 2', "t grows by two"),
    "decay first": ("optimizer.py", 'p.data.addcdiv_(state["m"]', 'p.data.mul_(1 - group["lr"] * group["weight_decay"])\n'
                    '                group = {**group, "weight_decay": 0}\n                p.data.addcdiv_(state["m"]',
                    "from before the step"),
    "decay without lr": ("optimizer.py", '-group["lr"] * group["weight_decay"]', '-group["weight_decay"]', "weight_decay alone"),
    "the defaults' decay for all groups": ("optimizer.py", '* group["weight_decay"]', '* self.defaults["weight_decay"]',
                                           "read it from the group"),
    "a counter for all": ("optimizer.py", 'state["t"] += 1', 'self.t = getattr(self, "t", 0) + 1; state["t"] = self.t',
                          "counts its own steps"),
    "a gradient of None as zeros": ("optimizer.py", "if p.grad is None:\n                    continue",
                                    "p.grad = torch.zeros_like(p) if p.grad is None else p.grad", "must be left alone"),
}


def plant(folder: Path, *mistakes: tuple[str, ...]) -> Path:
    """A copy of the starter with these mistakes in it."""
    shutil.copytree(STARTER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file, old, new, *_ in mistakes:
        text = (folder / file).read_text(encoding="utf-8")
        assert old in text, f"{file} no longer has {old!r}"
        (folder / file).write_text(text.replace(old, new), encoding="utf-8", newline="")
    return folder


def run_course(folder: Path):
    return run_nested(FILES, "--student", str(folder))


class Witness:
    """A plugin that sees what is imported, and from where, when the tests begin."""

    def pytest_collection_modifyitems(self) -> None:
        self.modules, self.paths = dict(sys.modules), list(sys.path)


def test_a_solved_starter_passes_everything_and_leaves_no_trace(tmp_path, monkeypatch, capsys):
    theirs, ours, witness = plant(tmp_path / "solved"), object(), Witness()
    monkeypatch.setitem(sys.modules, "utils", ours)
    result = run_nested(FILES, "--student", str(theirs), plugins=[witness])
    printed = capsys.readouterr().out
    assert result.failed == {} and result.code == 0 and result.passed > 35
    assert f"{result.passed} tests apply" in printed and "embed() gives every token type 0" in printed
    assert witness.modules["utils"] is ours and str(theirs) not in witness.paths
    assert not {"bert", "base_bert", "optimizer", "boto3"} & set(witness.modules)
    assert minbert.bert.BertLayer is BertLayer, "our own classes must be back in their places"
    assert sorted(path.name for path in theirs.iterdir()) == sorted(path.name for path in STARTER.glob("*.py"))


def test_the_corrected_form_of_adamw_passes_as_well(tmp_path):
    step = 'p.data.addcdiv_(state["m"], state["v"].sqrt().add_(group["eps"]), value=-alpha)'
    corrected = ('m, v = state["m"] / (1 - beta1 ** state["t"]), state["v"] / (1 - beta2 ** state["t"]); '
                 'p.data -= group["lr"] * m / (v.sqrt() + group["eps"])')
    result = run_course(plant(tmp_path / "corrected", ("optimizer.py", step, corrected)))
    assert result.failed == {} and result.code == 0


def test_averages_of_the_default_dtype_and_layers_called_by_forward_are_no_mistakes(tmp_path):
    result = run_course(plant(
        tmp_path / "other", ("optimizer.py", "torch.zeros_like(p.data), torch.zeros_like(p.data)",
                             "torch.zeros(p.shape), torch.zeros(p.shape)"),
        ("bert.py", "self.interm_dense(attended)", "self.interm_dense.forward(attended)"),
        ("bert.py", "self.self_attention(hidden_states", "self.self_attention.forward(hidden_states")))
    assert result.failed == {} and result.code == 0


def test_what_is_still_to_do_is_open_and_not_wrong(tmp_path, capsys):
    stop = "raise NotImplementedError\n" + 8 * " "
    todo = (("bert.py", "scores = query @ key", stop + "scores = query @ key"),
            ("optimizer.py", "beta1, beta2 = ", stop + 8 * " " + "beta1, beta2 = "))
    result = run_course(plant(tmp_path / "open", *todo))
    assert result.failed == {} and result.code == 1 and result.passed > 5, "what is open is no mistake, but neither is it done"
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("OPEN")]
    assert [line.partition(" still")[0] for line in lines] == \
        ["OPEN bert.py, line 31: BertSelfAttention.attention", "OPEN optimizer.py, line 22: AdamW.step"]


@pytest.mark.parametrize("mistake, says", [
    (("bert.py", "class BertLayer(nn.Module):", "class BertLayer(nn.Module:"), r"bert.py, line \d+: SyntaxError"),
    (("bert.py", "class BertLayer(", "class Layer("),
     r"bert.py: there is no class BertLayer; expected is class BertLayer\(config\), with forward"),
    (("utils.py", "import requests", "import a_library_of_theirs"),
     r"utils.py, line \d+: ModuleNotFoundError: .*a_library_of_theirs"),
    (("utils.py", "import torch\n", "import torch\ntorch.load('weights.pt')\n"), "nothing of a student's folder is .*unpickled"),
    (("bert.py", "self.init_weights()", "self.init_weight()"), r"bert.py, line \d+: AttributeError: .*init_weight"),
    (("bert.py", "self.word_embedding", "self.words"), "BertModel has no word_embedding"),
    (("optimizer.py", "", ""), "optimizer.py is missing"),
    (("bert.py", "", ""), "bert.py is missing: --student takes the folder of a CS224N starter"),
])
def test_a_folder_that_cannot_be_tested_gets_one_line(mistake, says, tmp_path, capfd):
    folder = plant(tmp_path / "broken", mistake)
    if mistake[1] == "":
        (folder / mistake[0]).unlink()
    result = run_course(folder)
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line]
    assert result.code == pytest.ExitCode.USAGE_ERROR and line.startswith("ERROR: ") and re.search(says, line)


@pytest.mark.slow
def test_the_command_of_the_readme():
    run = subprocess.run([sys.executable, "-m", "pytest", "tests/", "--student", str(STARTER)], cwd=TESTS.parent,
                         capture_output=True, text=True, timeout=120)
    assert run.returncode == 0 and "tests apply" in run.stdout, run.stdout + run.stderr


def test_three_planted_mistakes_are_found_and_nothing_else(tmp_path):
    result = run_course(plant(tmp_path / "three", SCALE, EARLY_DROPOUT, COUPLED))
    whole_model = {"test_bert.py::test_hidden_states_and_pooler_equal_the_references_in_float64",
                   "test_bert.py::test_gradients_equal_the_references_in_float64"}
    attention = {"test_attention.py::test_scores_are_divided_by_the_square_root_of_the_head_size": "sqrt(head size) forgotten",
                 "test_attention.py::test_the_first_layers_attention_is_the_references": "attention"}
    dropout = {f"test_bert.py::test_dropout_comes_after_the_dense_layer_and_before_the_sum[{half}]":
               "dropout(dense(x)), not dense(dropout(x))"
               for half in ("attend-attention_output-attention_norm", "feed_forward-output-output_norm")}
    decay = {"test_adamw.py::test_zero_gradients_decay_in_closed_form[by_hand-cs224n]": "the averages never see the decay",
             "test_student_folder.py::test_the_decay_comes_after_the_step_and_by_the_learning_rate": "acts twice"}
    says = attention | dropout | decay
    assert set(result.failed) == set(says) | whole_model
    for test, sentence in says.items():
        assert sentence in result.failed[test], f"{test} does not name the cause: {result.failed[test]}"


@pytest.mark.slow
@pytest.mark.parametrize("mistake", SAID)
def test_a_mistake_in_the_starters_shape_is_caught_and_named(mistake, tmp_path):
    *planted, says = SAID[mistake]
    result = run_course(plant(tmp_path / "mistaken", tuple(planted)))
    assert any(re.search(says, message) for message in result.failed.values()), f"no failing test says {says!r}: {result.failed}"
