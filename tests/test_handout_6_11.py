"""The second half of the handout: what it computes by hand, quotes from the log and the reports, and tells the reader to type.

Its examples with `>>>` are run by tests/test_handout.py.
"""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from minbert.config import BertConfig
from multitask.evaluate import overall_normalised, overall_raw
from multitask.recipe_files import load_recipe

ROOT = Path(__file__).parents[1]
CHAPTERS = range(6, 12)
TEXT = "## 6 " + (ROOT / "handout.md").read_text(encoding="utf-8").split("\n## 6 ")[1]
PROSE = " ".join(re.sub(r"^```.*?^```", "", TEXT, flags=re.DOTALL | re.MULTILINE).split())
LOG = " ".join((ROOT / "docs" / "LOG.md").read_text(encoding="utf-8").replace("**", "").split())
SECTIONS = {match[1]: " ".join(match[2].split()) for match in
            re.finditer(r"^### (\d+\.\d+) .*\n((?:(?!^##+ |^---$).*\n?)*)", TEXT, re.MULTILINE)}


def test_the_six_chapters_are_there_in_order():
    assert [int(number) for number in re.findall(r"^## (\d+) ", TEXT, re.MULTILINE)] == list(CHAPTERS)
    numbers = [tuple(map(int, number.split("."))) for number in SECTIONS]
    assert numbers == sorted(numbers), "the sections are out of order"


@pytest.mark.parametrize("quote", sorted(set(re.findall(r"[+-]\.\d+ \([+-]\.\d+ to [+-]\.\d+\)|\.\d{3} ± \.\d{3}", PROSE))))
def test_every_interval_and_deviation_is_the_logs(quote):
    assert quote in LOG, f"the handout quotes {quote}, docs/LOG.md has no such figure"


@pytest.mark.parametrize("row", sorted(set(re.findall(r"\| `cut/[a-z-]+`(?: \(pair\))? \|[^|]*\|", PROSE))))
def test_a_row_of_a_table_is_that_row_of_the_log(row):
    name, figure = (cell.strip() for cell in row.replace(" (pair)", "").strip("| ").split("|"))
    logged = re.search(rf"\| {re.escape(name)} \|((?:[^|]*\|){{6}})", LOG)[1]
    assert figure in logged, f"{name} has {figure} in the handout, and in the log {logged}"


def test_figures_of_the_log_without_interval():
    for quote in (".485", ".836", ".854", "2e-9", "takes .012 off SST", "Quora (-.014) for SST (+.017)", "1,152", "76 batches",
                  ".706 ± .074", "604 rows alone do not teach a BERT to read pairs"):
        assert quote in LOG and quote.replace("± ", "").split()[0] in PROSE, quote
    assert "mean pooling .690" in LOG and "`cut/base` .687" in LOG and "mean pooling had .690 and `[CLS]` .687" in PROSE


REPORTS = "cut|single|bimodal|less_is_more|mt_bert|jack_of_all_trades"
REPORTED = [  # recipe, key, as printed in its section
    ("6.6", "bimodal/t1-pair", "para", ".889"), ("6.6", "bimodal/t1-pair", "sts", ".813"),
    ("6.6", "bimodal/t1-independent", "para", ".721"), ("6.6", "bimodal/t1-independent", "sts", ".487"),
    ("7.4", "mt_bert/t2-pcgrad", "overall", ".726"), ("7.4", "mt_bert/t2-round-robin", "overall", ".747"),
    ("8.6", "bimodal/t2-sst", "sst", ".501"), ("8.6", "bimodal/t2-sst-smart", "sst", ".516"),
    ("8.7", "jack_of_all_trades/t7-annealed-smart", "sts", ".939"),
    ("8.7", "jack_of_all_trades/t7-mnrl-annealed-smart", "overall", ".792"),
    ("9.1", "less_is_more/t4-design-2-rr", "overall", ".768"), ("9.1", "less_is_more/t2-finetune-rr", "overall", ".773"),
    ("9.4", "bimodal/t4-3bert-tpe", "overall", ".783"), ("9.4", "bimodal/t4-tpe", "overall", ".717"),
    ("9.4", "bimodal/t4-tpe", "sst", ".356"), ("9.4", "bimodal/t4-rr-tpe", "overall", ".784"),
    ("10.1", "bimodal/t2-sst-smart", "sst", ".516"), ("10.1", "less_is_more/t3-design-1-smart", "sts", ".487"),
    ("10.1", "less_is_more/t3-design-1", "sts", ".733"), ("10.2", "jack_of_all_trades/t7-mnrl-bppo", "overall", ".797"),
    ("11.1", "mt_bert/t2-mlm", "overall", ".722"), ("11.2", "jack_of_all_trades/t7-mnrl-annealed-smart", "sst", ".546"),
    ("11.2", "jack_of_all_trades/t7-annealed-smart", "sst", ".532"), ("11.3", "less_is_more/t5-design-2-rr", "overall", ".772"),
]


@pytest.mark.parametrize("section, name, key, printed", REPORTED)
def test_a_reports_figure_is_what_its_recipe_expects(section, name, key, printed):
    assert printed in SECTIONS[section]
    assert f"{getattr(load_recipe(name).expected, key):.3f}" == f"{float(printed):.3f}", f"{name}: {key} is not {printed}"


def count(kind: str) -> int:
    """Weights that one task adds to bert-base, from the shapes alone."""
    width, layers = BertConfig().hidden_size, BertConfig().num_hidden_layers

    def pair(size: int) -> int:
        return 2 * width * size + size + width

    return {"pal": pair(204) + layers * 3 * (204**2 + 204), "low_rank": layers * pair(100), "adapters": 2 * layers * pair(64),
            "own projections": layers * (pair(204) + 3 * (204**2 + 204))}[kind]


COMPUTED = [  # section, as printed, the number
    ("6.3", "1.609", math.log(5)), ("6.3", "2.127", math.log(1 + math.exp(2))), ("6.3", "0.16", 0.4**2),
    ("6.4", ".5108", 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)),
    ("6.4", ".3681", 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)),
    ("6.5", ".8789", 0.4 * math.log(9)), ("6.6", "49,995,000", 10_000 * 9_999 / 2),
    ("7.2", "= 105", math.factorial(7) / (math.factorial(2) * math.factorial(4))), ("7.4", "1.5", 1.5),
    ("7.5", ".577", 0.5 / math.sqrt(0.75)), ("7.7", "−.707", -1 / math.sqrt(2)), ("7.7", "1.58", math.hypot(0.5, 1.5)),
    ("7.7", "1.1η", 0.1 + 1), ("7.7", "5η", 7 - 2), ("8.1", "26.2%", 28900 / 1101), ("8.2", ".961", 4 / math.sqrt(52 / 3)),
    ("8.3", ".316", 0.75**4), ("8.4", ".219", 14 / 64), ("8.4", ".099", 2 * stats.binom.cdf(10, 30, 0.5)),
    ("8.6", ".042", 2 * math.sqrt(2) * 0.015), ("8.7", ".02", (1 - 0.88) / 6), ("8.7", ".878", 2 * 0.939 - 1),
    ("8.7", ".786", (0.877 + 0.546 + 0.935) / 3), ("8.7", ".7267", overall_raw(0.50, 0.88, 0.80)),
    ("8.7", ".7233", overall_raw(0.52, 0.88, 0.77)), ("8.7", ".7600", overall_normalised(0.50, 0.88, 0.80)),
    ("8.7", ".7617", overall_normalised(0.52, 0.88, 0.77)), ("8.8", "8,628", 6040 + 863 + 1725),
    ("8.9", ".064", 0.774 - 0.710), ("8.10", ".46 s", 1.0294 / math.sqrt(5)), ("8.10", ".005 for nothing", 1.352 * 0.004),
    ("9.2", ".01016", 0.02 * stats.norm.cdf(0.02)), ("9.2", "2.0001", 2 + 0.01 * 0.02 * stats.norm.cdf(0.02)),
    ("9.3", "1,819,836", count("pal")), ("9.3", "5,277,312", count("own projections")), ("9.3", "1,853,616", count("low_rank")),
    ("9.4", "328,446,720", 3 * 109_482_240), ("10.3", ".1054", -math.log(0.9)), ("10.3", ".2231", -math.log(0.8)),
    ("10.3", ".0811", 0.1 * math.log(0.9 / 0.8) - 0.1 * math.log(0.1 / 0.2)), ("11.1", "10.33", math.log(30522)),
    ("11.2", ".905", math.log(math.e + 4) - 1), ("11.3", ".045", 0.3**2 / 2), ("11.3", ".02", 0.2**2 / 2),
]


@pytest.mark.parametrize("section, printed, number", COMPUTED)
def test_a_figure_worked_out_by_hand_is_right(section, printed, number):
    assert printed in SECTIONS[section], f"section {section} no longer says {printed}"
    shown = re.search(r"[−\d.,]*\d", printed)[0].replace(",", "").replace("−", "-")
    digits = len(shown.partition(".")[2])
    assert float(shown) == pytest.approx(number, abs=0.501 * 10**-digits), f"section {section} says {printed}, it is {number}"


def test_chapter_tables_of_sizes_are_counted():
    for kind in ("pal", "low_rank", "adapters"):
        share = count(kind) / 109_482_240
        assert re.search(rf"\| `{kind}` \([\d.]+\) \| {count(kind):,} \| {share:.1%} \|", PROSE), kind
    assert [round(quora / (8544 + quora + 6040), 2) for quora in (141_506, 283_010)] == [0.91, 0.95]
    assert [round(quora / 6040) for quora in (141_506, 283_010)] == [23, 47]
    assert "91% to 95%" in PROSE and "23 or 47 times" in PROSE


def test_pcgrad_of_the_folded_answer():
    first, second = np.array([1.0, 0.0]), np.array([-3.0, 1.0])
    projected = first - first @ second / (second @ second) * second, second - first @ second / (first @ first) * first
    step = sum(projected)
    assert np.allclose(step, [0.1, 1.3]) and "(.1, 1.3)" in SECTIONS["7.7"]
    assert np.allclose([first @ step, second @ step], [0.1, 1.0])


COMMANDS = [line.split("#")[0].split() for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
            for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_names_a_recipe_and_keys_that_exist(command):
    assert command[0] == "python"
    settings = [setting for flag, setting in zip(command, command[1:], strict=False) if flag == "--set"]
    if command[1:3] == ["-m", "multitask.effect"]:
        load_recipe(command[3], settings)
    if "--recipe" in command:
        load_recipe(command[command.index("--recipe") + 1], settings)


@pytest.mark.parametrize("number", [number for number, body in SECTIONS.items() if "**Switch.**" in body])
def test_what_switches_a_technique_on_is_accepted(number):
    switch = re.split(r"\*\*Exercise|\*\*Question", SECTIONS[number].split("**Switch.**")[1])[0]
    settings = re.findall(r"--set ([\w.]+=[^\s`]+)", switch)
    recipe = load_recipe("quick", settings)
    for setting in settings:
        key, value = setting.split("=")
        found = recipe
        for part in key.split("."):
            found = found[int(part)] if part.isdigit() else found[part] if isinstance(found, dict) else getattr(found, part)
        assert str(found) in (value, f"{value}.0"), f"{setting} gives {found}"
    for objective in re.findall(r'objectives = \["(\w+)"\]', switch):
        assert load_recipe("quick", [f"stages.0.objectives=['{objective}', 'sst']"]).stages[0].objectives[0] == objective


def test_the_stage_that_chapter_11_shows_makes_a_recipe(tmp_path):
    shown = re.search(r"^```toml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)[1]
    tasks = '[[stages]]\nobjectives = ["sst"]\nschedule = "budgeted"\nepochs = 1\nbatch_size = 16\n'
    path = tmp_path / "mine.toml"
    path.write_text(f'name = "mine"\nsource = "a test"\nextends = "quick"\n{shown}\n{tasks}', encoding="utf-8")
    assert [stage.objectives for stage in load_recipe(str(path)).stages] == [("masked_lm",), ("sst",)]


@pytest.mark.parametrize("name", sorted(set(re.findall(rf"`((?:{REPORTS})/[\w-]+)`", PROSE))))
def test_a_recipe_named_in_the_text_exists(name):
    load_recipe(name)
