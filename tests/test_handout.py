"""The handout's promises: a section for every exercise, solutions in the source's own lines, numbers that are still true."""

import ast
import doctest
import math
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from optim.adamw import update

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "handout.md").read_text(encoding="utf-8")
SECTIONS = {match[1]: (match[2], match[3]) for match in
            re.finditer(r"^### (\d+\.\d+) (.+)\n((?:(?!^##+ |^---$).*\n?)*)", TEXT, re.MULTILINE)}
SOLUTION = re.compile(r"<!-- solution (\d+\.\d+) -->\n(?:(?!```|<!--)[^\n]*\n)*```python\n(.*?)```\s*<!-- end of solution -->",
                      re.DOTALL)
SOURCES = sorted(path for package in ("minbert", "optim", "multitask") for path in (ROOT / package).glob("*.py"))
NOT_ON_GITHUB = ("\\operatorname", "\\bm{", "\\mathds", "\\newcommand", "\\def", "\\label", "\\tag", "\\DeclareMath", "\\require")


def exercises() -> dict[str, tuple[str, Path]]:
    """number -> title and file, as the source marks them."""
    found = {}
    for path in SOURCES:
        for number, title in re.findall(r"^\s*# Exercise (\d+\.\d+): (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE):
            found[number] = (title, path)
    return found


EXERCISES = exercises()


def examples(number: str) -> str:
    """The section's blocks of Python with its output, one after the other."""
    return "\n".join(re.findall(r"```pycon\n(.*?)```", SECTIONS[number][1], re.DOTALL))


def needs_weights(number: str) -> bool:
    return 'from_pretrained("minilm")' in examples(number)


def table_rows(name: str) -> list[list[str]]:
    """The cells of the rows, without the heading, between `<!-- table of NAME -->` and `<!-- end of table -->`."""
    block = re.search(rf"<!-- table of {name} -->\n(.*?)<!-- end of table -->", TEXT, re.DOTALL)[1]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in block.strip().splitlines()[2:]]


@pytest.mark.parametrize("number", EXERCISES)
def test_every_exercise_has_its_section_under_the_same_title(number):
    title, path = EXERCISES[number]
    assert number in SECTIONS, f"{path.name} has exercise {number} ({title}), the handout has no section {number}"
    heading = SECTIONS[number][0]
    assert heading == title[0].upper() + title[1:], f"section {number} is {heading!r}, the exercise is {title!r}"


@pytest.mark.parametrize("number", SECTIONS)
def test_every_section_ends_in_its_exercise_or_in_a_folded_answer(number):
    paragraphs = [part for part in SECTIONS[number][1].strip().split("\n\n") if not re.match(r"\*?\*?Sources?\b", part)]
    if number in EXERCISES:
        assert any(f"Exercise {number}" in part for part in paragraphs[-2:]), f"section {number} does not end in its exercise"
    else:
        assert paragraphs[-1].endswith("</details>"), f"section {number} belongs to no exercise and ends in no folded answer"
        assert "Exercise" not in SECTIONS[number][1] or f"Exercise {number}" not in SECTIONS[number][1], (
            f"section {number} announces an exercise that the source does not have")


@pytest.mark.parametrize("number", SECTIONS)
def test_every_section_names_its_sources_and_folds_what_it_opens(number):
    body = SECTIONS[number][1]
    assert re.search(r"\bSources?:", body), f"section {number} names no source"
    opened, closed, summaries = (body.count(tag) for tag in ("<details>", "</details>", "<summary>"))
    assert opened == closed == summaries, f"section {number}: <details> left open"


def test_a_solution_stands_in_the_section_of_its_exercise_and_nowhere_else():
    assert TEXT.count("<!-- solution ") == TEXT.count("<!-- end of solution -->") == len(SOLUTION.findall(TEXT)), (
        "a solution's markers do not enclose exactly one ```python block")
    for number, (_, body) in SECTIONS.items():
        numbers = {found for found, _ in SOLUTION.findall(body)}
        assert numbers <= {number} and (not numbers or number in EXERCISES), f"section {number} has the solution of {numbers}"


@pytest.mark.parametrize("number, block", SOLUTION.findall(TEXT))
def test_a_solution_is_made_of_lines_of_the_source_in_their_order(number, block):
    path = EXERCISES[number][1]
    source = iter([line.strip() for line in path.read_text(encoding="utf-8").splitlines()])
    for line in filter(None, map(str.strip, block.splitlines())):
        assert line in source, f"section {number}: this line does not stand in {path.name}, or not in this order: {line}"


@pytest.mark.parametrize("block", re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE))
def test_every_python_block_is_python(block):
    lines = block.splitlines()
    indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    ast.parse("async def wrapped():\n" + "\n".join("    " + line[indent:] for line in lines))


@pytest.mark.parametrize("number", [number for number in SECTIONS if examples(number) and not needs_weights(number)])
def test_examples_give_the_output_that_is_printed(number):
    run_examples(number, examples(number))


@pytest.mark.oracle
@pytest.mark.parametrize("number", [number for number in SECTIONS if needs_weights(number)])
def test_examples_with_real_weights_give_the_output_that_is_printed(number, minilm):
    run_examples(number, examples(number))


def run_examples(number: str, code: str) -> None:
    outcome = []
    test = doctest.DocTestParser().get_doctest(code, {"math": math}, f"section {number}", "handout.md", 0)
    with torch.random.fork_rng(devices=[]):
        doctest.DocTestRunner(verbose=False).run(test, out=outcome.append)
    assert not outcome, f"section {number} prints what is no longer true:\n" + "".join(outcome)


def test_relative_links_lead_somewhere():
    headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)):
        if not re.match(r"https?:|mailto:", target):
            path, _, anchor = target.partition("#")
            assert (ROOT / path).exists(), f"the link {target} leads to no file"
            assert path or anchor in anchors, f"the link {target} leads to no heading"


def test_files_named_in_the_text_exist():
    for name in set(re.findall(r"`((?:minbert|optim|multitask|tests|tools|docs|notebooks)/[\w./-]+\.\w+)`", TEXT)):
        assert (ROOT / name).exists(), f"the handout speaks of {name}, which is not there"


def test_the_mathematics_renders_on_github():
    blocks = re.findall(r"```math\n(.*?)```", TEXT, re.DOTALL)
    prose = re.sub(r"`[^`\n]*`", "", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL))
    for formula in blocks + re.findall(r"\$([^$\n]+)\$", prose):
        assert not [macro for macro in NOT_ON_GITHUB if macro in formula], f"GitHub does not draw {formula}"
        assert formula.count("{") == formula.count("}"), f"a brace is open in {formula}"
        assert formula.count("\\left") - formula.count("\\leftarrow") == formula.count("\\right") - formula.count("\\rightarrow")
    assert all(paragraph.count("$") % 2 == 0 for paragraph in prose.split("\n\n")), "a $ is left open"


# --- section 4.9: MiniLM with one thing wrong -------------------------------------------------------------------------


def damage(mistake: str, model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plants one mistake into the model or into minbert.attention."""
    from minbert import attention, bert

    probabilities = attention.attention_probabilities
    wrong_attention = {
        "scores not divided by √K": lambda q, k, mask: probabilities(q * math.sqrt(q.shape[-1]), k, mask),
        "mask ignored": lambda q, k, mask: probabilities(q, k, None),
        "mask inverted": lambda q, k, mask: probabilities(q, k, ~mask),
        "mask after the softmax": lambda q, k, mask: probabilities(q, k, None) * mask,
    }
    if mistake in wrong_attention:
        monkeypatch.setattr(attention, "attention_probabilities", wrong_attention[mistake])
    elif mistake == "heads joined without the transpose":
        monkeypatch.setattr(attention, "join_heads", lambda x: x.reshape(x.shape[0], x.shape[2], -1))
    elif mistake == "positions from 1":
        model.embeddings.position.weight.data = model.embeddings.position.weight.data.roll(-1, 0)
    elif mistake == "token types ignored":
        model.embeddings.token_type.weight.data[1] = model.embeddings.token_type.weight.data[0]
    elif mistake == "LayerNorm ε 10⁻⁵":
        for norm in model.modules():
            if isinstance(norm, nn.LayerNorm):
                norm.eps = 1e-5
    elif mistake == "attention dropout forgotten":
        for layer in model.layers:
            layer.attention.dropout = nn.Identity()
    else:
        replace_halves(mistake, bert.BertLayer, monkeypatch)


def replace_halves(mistake: str, layer: type, monkeypatch: pytest.MonkeyPatch) -> None:
    from minbert import bert

    def attend_normed_before(self, x, mask=None, maps=None, asking=None):
        return x + self.attention_output(self.attention(self.attention_norm(x), mask))

    def feed_normed_before(self, a, extra=None):
        return a + self.output(self.activation(self.intermediate(self.output_norm(a))))

    def feed_by_tanh(self, a, extra=None):
        return self.output_norm(a + self.output(bert.gelu_tanh(self.intermediate(a))))

    def attend_dropped_before(self, x, mask=None, maps=None, asking=None):
        return self.attention_norm(x + self.attention_output(self.dropout(self.attention(x, mask))))

    def feed_dropped_before(self, a, extra=None):
        return self.output_norm(a + self.output(self.dropout(self.activation(self.intermediate(a)))))

    halves = {
        "pre-LN": {"attend": attend_normed_before, "feed_forward": feed_normed_before},
        "tanh GELU": {"feed_forward": feed_by_tanh},
        "dropout before the projections": {"attend": attend_dropped_before, "feed_forward": feed_dropped_before},
    }
    for name, half in halves[mistake].items():
        monkeypatch.setattr(layer, name, half)


@pytest.mark.oracle
def test_the_table_of_mistakes_is_what_the_model_gives(minilm, monkeypatch):
    from minbert import BertModel, BertTokenizer

    tokenizer = BertTokenizer.from_pretrained(minilm)
    texts = tokenizer(["hello world", "hello neural network for NLP"], padding=True, return_tensors="pt")
    pair = tokenizer("is the film slow", "the film is not slow", return_tensors="pt")

    @torch.no_grad()
    def outputs(model, row):
        return model(**row)["last_hidden_state"][row["attention_mask"].bool()]

    right = [outputs(BertModel.from_pretrained(minilm), row) for row in (texts, pair)]
    rows = table_rows("mistakes")
    assert len(rows) == 12
    for mistake, off, seen, on_a_pair in rows:
        model = BertModel.from_pretrained(minilm)
        with monkeypatch.context() as patch:
            damage(mistake, model, patch)
            wrong = [outputs(model, row) for row in (texts, pair)]
        for printed, ours, theirs in zip((off, on_a_pair), wrong, right, strict=True):
            measured = ((ours - theirs).square().mean().sqrt() / theirs.std()).item()
            digits = len(printed.partition(".")[2])
            assert measured == pytest.approx(float(printed), abs=0.6 * 10**-digits if digits else 1e-6), (mistake, measured)
        is_close = torch.allclose(right[0], wrong[0], atol=1e-5, rtol=1e-3)
        assert seen == ("no" if is_close else "yes"), mistake


# --- section 5.5: the course's optimizer check on variants of AdamW ---------------------------------------------------


def course_weights(step) -> torch.Tensor:
    """The six weights after the check's 1,000 steps, with `step(weight, gradient, moments, t)` as the optimizer."""
    draw = pytest.importorskip("numpy").random.default_rng(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        weight = nn.Linear(3, 2, bias=False).weight.detach()
    moments = {"exp_avg": torch.zeros(2, 3), "exp_avg_sq": torch.zeros(2, 3)}
    for t in range(1, 1001):
        x = torch.tensor(draw.uniform(size=3), dtype=torch.float32)
        error = weight @ x - torch.stack([x[0] + x[1], -x[2]])
        step(weight, 2 * error[:, None] * x, moments, t)
    return weight


def variant(lr=1e-3, decay=1e-4, eps=1e-6, form="cs224n", l2=0.0, correct_bias=True, updates=1):
    """The library's own update, with the settings of one row."""
    def step(weight, gradient, moments, t):
        for number in range(updates):
            update(weight, gradient + l2 * weight, moments, updates * (t - 1) + number + 1, lr=lr, betas=(0.9, 0.999), eps=eps,
                   weight_decay=decay, correct_bias=correct_bias, amsgrad=False, form=form)
    return step


def written_out(eps_inside=False, decays_with_corrected_rate=False, decays_by_old=False):
    """The course's form by hand, for what the library refuses to do."""
    def step(weight, gradient, moments, t):
        m = moments["exp_avg"].mul_(0.9).add_(gradient, alpha=0.1)
        v = moments["exp_avg_sq"].mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        rate, old = 1e-3 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t), weight.clone()
        weight.sub_(rate * m / ((v + 1e-6).sqrt() if eps_inside else v.sqrt() + 1e-6))
        weight.sub_((rate if decays_with_corrected_rate else 1e-3) * 1e-4 * (old if decays_by_old else weight))
    return step


VARIANTS = {
    "the course's form, ε 10⁻⁶": variant(),
    "ε 10⁻⁸": variant(eps=1e-8),
    "torch's form: corrected root, decay first": variant(form="torch", eps=1e-8),
    "the weight decays by its value before the step": written_out(decays_by_old=True),
    "ε inside the root": written_out(eps_inside=True),
    "decay with the corrected rate": written_out(decays_with_corrected_rate=True),
    "L2 in the gradient": variant(decay=0.0, l2=1e-4),
    "L2 and decoupled decay": variant(l2=1e-4),
    "no decay at all": variant(decay=0.0),
    "no bias correction": variant(correct_bias=False),
    "two updates per step": variant(updates=2),
}


@pytest.mark.slow
def test_the_table_of_variants_is_what_the_course_s_check_gives():
    published = torch.tensor([[0.5548, 0.8667, 0.0729], [-0.4472, -0.2951, -0.2717]])
    right = course_weights(variant())
    assert (right - published).abs().max() < 5.1e-5, "the check was not rebuilt as it is: its weights are not the published ones"
    rows = table_rows("variants")
    assert [row[0] for row in rows] == list(VARIANTS)
    for name, printed, passes in rows:
        weights = course_weights(VARIANTS[name])
        measured = (weights - right).abs().max().item()
        # below 1e-4 the last bits of float32 play a part
        assert measured == pytest.approx(float(printed), rel=0.15, abs=1e-7), (name, measured)
        assert passes == ("yes" if torch.allclose(weights, right, atol=1e-6, rtol=1e-4) else "no"), (name, measured)
    exceeding = (course_weights(variant(decay=0.0)) - right).abs() > 1e-6 + 1e-4 * right.abs()
    assert exceeding.nonzero().tolist() == [[0, 2]], "the one weight that gives a forgotten decay away is .0729"
