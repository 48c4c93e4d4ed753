"""The benchmarks' frame: rounds while others work, ratios beside goals, the report and its exit status. Nothing is timed here."""

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from small_run import VOCABULARY, config
from test_run import write_tables

from benchmarks import __main__ as command
from benchmarks import bucketing, scaling, steps, timing
from benchmarks.peers import largest
from benchmarks.rows import Outcome, Row, cost_row, speed_row
from benchmarks.setting import Setting
from minbert.bert import BertModel
from minbert.files import MinbertError
from minbert.weights import save_model
from multitask import batches
from multitask.evaluate import Score
from multitask.flags import run_command

ROOT = Path(__file__).parents[1]


class Machine:
    """A clock that moves only where something works, with another program on `loads[n]` processors in round n of two variants.
    The second variant does twice the work of the first."""

    def __init__(self, loads: list[float]) -> None:
        self.loads, self.calls = loads, []
        self.now = self.own = self.busy = 0.0

    def work(self, name: str, seconds: float = 1.0) -> float:
        load = self.loads[len(self.calls) // 2]
        self.calls.append(name)
        self.now += seconds
        self.own += seconds
        self.busy += seconds * (1 + load)
        return {"once": 1.0, "twice": 2.0}[name]

    def time(self, rounds: int, **options) -> timing.Timing:
        return timing.interleave({name: lambda name=name: self.work(name) for name in ("once", "twice")}, rounds, **options)


@pytest.fixture
def machine(monkeypatch) -> Iterator[Callable[[list[float]], Machine]]:
    """Makes the machine that `timing` runs on."""
    def make(loads: list[float]) -> Machine:
        made = Machine(loads)
        monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: made.now))
        monkeypatch.setattr(timing, "busy_seconds", lambda: made.busy)
        monkeypatch.setattr(timing, "own_seconds", lambda: made.own)
        return made

    return make


def loads_of(found: timing.Timing) -> list[float]:
    return [round(each.others, 6) for each in found.rounds]


def test_a_round_in_which_others_work_is_thrown_away_and_taken_again(machine):
    on = machine([0, 0.5, 0.1, 0.16, 0.14, 9])
    found = on.time(3, warm_up=False)
    assert loads_of(found) == [0, 0.1, 0.14], "0.14 of a processor is quiet, 0.16 is not"
    assert (found.dropped, found.disturbed, len(on.calls)) == (2, 0, 10)


def test_where_too_few_rounds_are_quiet_the_quietest_others_count_and_are_called_disturbed(machine):
    assert timing.ATTEMPTS == 3
    on = machine([0.9, 0.2, 0.5, 0.05, 0.8, 0.7, 0.6, 0.4, 0.95])
    found = on.time(3, warm_up=False)
    assert loads_of(found) == [0.05, 0.2, 0.4]
    assert (found.dropped, found.disturbed, len(on.calls)) == (6, 2, 18), "nine rounds are tried for three"


def test_without_a_system_that_tells_there_is_no_guard(monkeypatch, tmp_path):
    monkeypatch.setattr(timing, "STAT", tmp_path / "missing")
    assert math.isnan(timing.busy_seconds())
    found = timing.interleave({"a": lambda: 1.0, "b": lambda: 1.0}, rounds=2)
    assert (len(found.rounds), found.dropped, found.disturbed) == (2, 0, 0)
    assert all(math.isnan(each.others) for each in found.rounds)


@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="needs the length of a clock tick")
def test_busy_is_everything_but_idling_and_waiting_and_no_guest_twice(monkeypatch, tmp_path):
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 20 30 5000 70 4 6 10 999 999\ncpu0 1 1 1 1 1 1 1 1 1 1\nintr 5\n")
    monkeypatch.setattr(timing, "STAT", stat)
    assert timing.busy_seconds() == pytest.approx(170 / os.sysconf("SC_CLK_TCK")), "user nice system irq softirq steal"


def test_processor_time_of_children_that_live_on_can_be_counted_as_ours(machine):
    on = machine([1.0] * 9)
    found = on.time(3, warm_up=False, own=lambda: on.own + on.now)  # the other program is a child of ours
    assert loads_of(found) == [0, 0, 0] and found.dropped == 0


def test_every_round_begins_with_another_variant_and_the_first_goes_untimed():
    calls = []
    found = timing.interleave({name: lambda name=name: calls.append(name) or 1.0 for name in "abc"}, rounds=4)
    assert len(calls) == 3 + 3 * (4 + found.dropped)
    assert "".join(calls).startswith("abc" + "abc" + "bca" + "cab" + "abc")
    timing.interleave({"d": lambda: calls.append("d") or 1.0}, rounds=1, warm_up=False)
    assert calls[-1] == "d"


def test_a_ratio_is_taken_within_a_round(machine):
    """A machine that is sometimes three times as slow: rates differ, ratios do not."""
    on = machine([0] * 9)
    speeds = iter([1, 1, 3, 3, 9, 9])
    on.work = lambda name, work=on.work: work(name, next(speeds))
    found = on.time(3, warm_up=False)
    assert found.rates("once") == pytest.approx([1, 1 / 3, 1 / 9]) and found.rate("once") == pytest.approx(1 / 3)
    assert found.ratios("twice", "once") == pytest.approx([2, 2, 2])
    speed = speed_row("what", "whom", found, "twice", "once", "u/s", goal=2.0)
    assert speed.ratio == pytest.approx(2) and speed.ours == pytest.approx((2, 2 / 3, 2 / 9)) and not speed.at_most
    cost = cost_row("what", "whom", found, "twice", "once")
    assert cost.ratio == pytest.approx(0.5) and cost.ours == pytest.approx((500, 1500, 4500)) and cost.at_most
    assert cost.theirs == pytest.approx((1000, 3000, 9000)) and cost.unit == "ms"


NAN = math.nan


def row(*ratios: float, goal: float | None = None, at_most: bool = False) -> Row:
    return Row("ours", "theirs", ratios, ratios, ratios, "u/s", goal, at_most)


@pytest.mark.parametrize("found, met", [
    (row(1.0, 2.4, 9.0, goal=2.4), True),
    (row(1.0, 2.39, 9.0, goal=2.4), False),
    (row(1.0, 2.0, 3.0, 4.0, goal=2.5), True),
    (row(0.1, 1.1, 9.0, goal=1.1, at_most=True), True),
    (row(0.1, 1.11, 0.2, goal=1.1, at_most=True), True),
    (row(0.1, 1.11, 9.0, goal=1.1, at_most=True), False),
    (row(0.1), True),
    (row(NAN, goal=2.4), False),
    (row(NAN, goal=2.4, at_most=True), False),
    *((row(*ratios, goal=2.0, at_most=at_most), False) for at_most in (False, True)
      for ratios in ((NAN, 2.0, 2.0), (2.0, NAN, 2.0), (2.0, 2.0, NAN), (2.0, 2.0, 2.0, NAN))),
])
def test_a_goal_is_met_by_the_median_and_never_by_a_number_that_is_none(found, met):
    assert found.is_met is met


@pytest.fixture
def measured(monkeypatch) -> dict[str, Outcome]:
    """The outcomes of the only benchmarks there are, by name; to be changed."""
    details = ("a detail", "| a | b |", "|---|---|", "| 1 | 2 |", "![a figure](figures/a.svg)")
    outcomes = {
        "steps": Outcome((row(2.0, 3.0, 4.0, goal=2.4), replace(row(0.5), what="epochs")), "differ by 3e-7", details, 7, 5),
        "memory": Outcome((replace(row(0.7, goal=0.8, at_most=True), what="peak"),), "the same batch"),
        "whole": Outcome((row(1.0),), "the same data"),
    }
    monkeypatch.setattr(command, "BENCHMARKS", {
        name: command.Benchmark(lambda setting, name=name: outcomes[name], by_default=name != "whole") for name in outcomes})
    return outcomes


@pytest.fixture
def call(tmp_path, monkeypatch) -> Iterator[Callable[..., tuple[int, str]]]:
    """Calls the command; returns its exit status and the report. What the command sets is put back afterwards."""
    path, threads = tmp_path / "report.md", torch.get_num_threads()
    monkeypatch.setenv("RAYON_NUM_THREADS", "2")
    monkeypatch.setattr(Setting, "folder", tmp_path)  # which none of these benchmarks loads
    monkeypatch.setattr(Setting, "has_samples", False)
    # here and not in a process each, where the benchmarks would be the real ones
    monkeypatch.setattr(command, "run_alone", lambda name, flags: run_command(
        lambda _: command.run_here(name, Setting(flags.model, flags.data_dir), flags), []))

    def run(*arguments: str) -> tuple[int, str]:
        status = run_command(command.main, ["--threads", "2", *arguments, "--out", str(path)])
        return status, path.read_text(encoding="utf-8") if path.exists() else ""

    yield run
    torch.set_num_threads(threads)


def section(report: str, name: str) -> str:
    return report.split(f"\n## {name}\n")[1].split("\n## ")[0]


def test_the_report_has_every_row_and_what_shows_that_the_work_was_the_same(measured, call, capsys):
    status, report = call()
    assert status == 0 and report.startswith("# Speed, measured beside peers\n")
    steps, memory = section(report, "steps"), section(report, "memory")
    assert "\n| ours | theirs | 3.00x (2.00 to 4.00, n = 3) | at least 2.4x | met | 3 | 3 | u/s |\n" in steps
    assert "\n| epochs | theirs | 0.50x (n = 1) |  | no goal | 0.5 | 0.5 | u/s |\n" in steps
    assert "\n| peak | theirs | 0.70x (n = 1) | at most 0.8x | met |" in memory
    assert "\n- the same work: differ by 3e-7\n" in steps and "the same batch" in memory
    assert "; 7 rounds thrown away, 5 of those that count were disturbed\n" in steps and "2 threads" in steps
    assert "\n- a detail\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n- ![a figure](figures/a.svg)\n" in steps
    printed = capsys.readouterr().out
    assert "ours / theirs: 3.00x (2.00 to 4.00, n = 3), at least 2.4x, met\n" in printed and "epochs / theirs" in printed


def test_a_benchmark_that_is_not_run_by_default_runs_when_it_is_named(measured, call):
    assert "\n## whole\n" not in call()[1]
    assert "\n## whole\n" in call("whole")[1]


def test_a_run_of_one_benchmark_keeps_the_sections_of_the_others(measured, call):
    _, before = call("whole", "memory", "steps")
    assert [line for line in before.splitlines() if line.startswith("## ")] == ["## steps", "## memory", "## whole"]
    measured["memory"] = Outcome((row(1.5),), "another batch")
    _, after = call("memory")
    assert section(after, "steps") == section(before, "steps") and section(after, "whole") == section(before, "whole")
    assert "another batch" in section(after, "memory") and "peak" not in after
    assert after.partition("## steps")[0] == before.partition("## steps")[0]


def test_a_missed_goal_is_in_the_report_and_ends_with_status_1(measured, call, capsys):
    measured["steps"] = Outcome((row(2.0, goal=2.4), replace(row(NAN, goal=1.0), what="lost")), "")
    status, report = call()
    assert status == 1 and "missed: ours against theirs; lost against theirs" in capsys.readouterr().err
    assert section(report, "steps").count("| MISSED |") == 2 and "peak" in section(report, "memory"), "the others still run"
    assert call("memory")[0] == 0, "an earlier miss is not counted again"


def test_goals_are_those_of_minilm_in_two_threads_on_the_courses_files(measured, call, monkeypatch):
    measured["steps"] = Outcome((row(2.0, goal=2.4),), "")
    assert call("steps")[0] == 1
    monkeypatch.setattr(Setting, "has_samples", True)
    assert call("steps")[0] == 0
    monkeypatch.setattr(Setting, "has_samples", False)
    status, report = call("steps", "--threads", "1")
    assert status == 0 and "| 2.00x (n = 1) |  | no goal |" in section(report, "steps")


@pytest.mark.parametrize("error, said", [(MinbertError("the ids differ", "look"), "hint: look"),
                                         (ImportError("No module named 'transformers'"), "requirements-dev.txt")])
def test_where_one_benchmark_fails_the_others_still_run(measured, call, capsys, error, said):
    def fail(setting):
        raise error

    command.BENCHMARKS["steps"] = command.Benchmark(fail)
    status, report = call()
    errors = capsys.readouterr().err
    assert status == 1 and said in errors and "goals missed or not measured: steps\n" in errors
    assert "## steps" not in report and "peak" in section(report, "memory")


def test_several_benchmarks_have_a_process_each(tmp_path, monkeypatch):
    started = []

    def run(line, check):
        started.append(line)
        return SimpleNamespace(returncode=len(started) - 1)

    monkeypatch.setattr(Setting, "folder", tmp_path)
    monkeypatch.setattr(subprocess, "run", run)
    line = ["start", "memory", "--threads=3", f"--out={tmp_path / 'a.md'}"]
    with pytest.raises(MinbertError, match="not measured: memory"):
        command.main(line)
    assert [each[1:4] for each in started] == [["-m", "benchmarks", "start"], ["-m", "benchmarks", "memory"]]
    assert all({"--threads=3", "--model=minilm", line[-1]} <= set(each) for each in started)


def test_data_that_is_not_there_is_said_once_before_anything_is_measured(measured, call, tmp_path, capsys):
    status, report = call("--data_dir", str(tmp_path / "nowhere"))
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert (status, report, len(said)) == (2, "", 1) and "nowhere" in said[0]


def test_a_file_that_is_no_report_is_not_written_over(measured, call, tmp_path, capsys):
    (tmp_path / "report.md").write_text("# My notes\n", encoding="utf-8")
    assert call("steps") == (2, "# My notes\n") and "no report of this command" in capsys.readouterr().err


def test_of_numbers_the_largest_is_none_where_one_is_none():
    assert math.isnan(largest([1e-7, NAN, 0.0])) and largest([torch.tensor(1.0), 2.0]) == 2.0


def test_the_arithmetic_of_a_step_is_that_of_its_products():
    sizes = replace(config(), hidden_size=384, intermediate_size=1536, num_hidden_layers=6)
    forward = 6 * (2 * (4 * 384 * 384 + 2 * 384 * 1536) + 2 * 2 * 25 * 384)  # six matrices, scores and mixtures of 25 tokens
    assert steps.operations_per_token(sizes, 25.0) == 3 * forward


def test_arithmetic_is_a_share_of_the_best_products_of_the_run():
    def one(ours: float, peak: float) -> timing.Round:
        return timing.Round({"ours": timing.Sample(ours, 1.0), "peak": timing.Sample(peak, 1.0)}, 0.0)

    loop = SimpleNamespace(read=100, rows=4, model=SimpleNamespace(encoder=SimpleNamespace(config=config())))
    each = steps.operations_per_token(config(), 25.0) / 1e9
    found = steps.arithmetic_row("what", timing.Timing((one(1000.0, 5.0), one(2000.0, 8.0)), 0), "ours", loop)
    assert found.ratios == pytest.approx((each * 1000 / 8, each * 2000 / 8)) and found.theirs == (8.0, 8.0)


def test_an_unknown_name_is_offered_the_closest_and_nothing_runs(measured, call, capsys):
    status, report = call("memory", "step")
    assert (status, report) == (2, "")
    error = capsys.readouterr().err
    assert "there is no benchmark step\n" in error and "did you mean steps?" in error
    assert call("xyz")[0] == 2 and "steps, memory, whole" in capsys.readouterr().err


def test_the_command_starts_without_the_peers():
    """They take ten seconds to import."""
    program = "import sys, benchmarks.__main__; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert not done.returncode, done.stderr
    slow = {"transformers", "sentence_transformers", "tokenizers", "matplotlib", "pandas", "sklearn", "accelerate", "datasets"}
    assert not slow & set(done.stdout.split()), "import it inside the function that needs it"


@pytest.fixture(scope="module")
def setting(tmp_path_factory) -> Setting:
    """A tiny model that takes 256 tokens, and made-up examples."""
    folder = tmp_path_factory.mktemp("setting")
    sizes = replace(config(), max_position_embeddings=256)
    save_model(folder / "model", sizes, BertModel(sizes), VOCABULARY)
    return Setting(str(folder / "model"), write_tables(folder / "tables", rows=40))


@pytest.mark.parametrize("name", scaling.PANELS)
def test_a_step_that_is_timed_has_exactly_the_size_that_it_claims(name, setting):
    for point in scaling.PANELS[name]:
        loop = scaling.make_loop(setting, point)
        assert len(loop.state.objectives) == point.tasks
        assert loop.step() == point.tokens == loop.padded and loop.rows == point.batch * point.tasks, point


@pytest.fixture
def costs() -> dict[str, list[float]]:
    return {name: [2.0 * point.tokens for point in points] for name, points in scaling.PANELS.items()}


def test_costs_are_a_table_with_a_row_for_every_point(costs):
    table = [line for line in scaling.describe_costs(costs) if line.startswith("| ")]
    assert len(table) == 1 + sum(map(len, scaling.PANELS.values()))
    assert "| **4** | 32 | 1 | 128 | 256 | 2.00 |" in table and "| 16 | 32 | **4** | 2048 | 4096 | 2.00 |" in table


def test_the_figure_of_costs_is_the_same_for_the_same_numbers(costs, tmp_path):
    pytest.importorskip("matplotlib")
    for name in ("one", "two"):
        scaling.save_svg(scaling.make_cost_figure(costs), tmp_path / name / "cost.svg")
    one, two = ((tmp_path / name / "cost.svg").read_bytes() for name in ("one", "two"))
    assert one == two and one.startswith(b"<?xml") and b"metadata" not in one


def test_without_matplotlib_the_report_says_that_there_is_no_figure(costs, without_figures, tmp_path):
    assert scaling.draw(costs, tmp_path).startswith("no figure of this was drawn: figures need matplotlib")


@pytest.mark.slow
def test_processes_that_are_told_to_take_steps_take_the_same_ones(setting, monkeypatch):
    monkeypatch.setattr(scaling, "ROUNDS", 1)
    monkeypatch.setattr(scaling, "SHARE", 1.0)
    found, difference, megabytes = scaling.compare_processes(replace(setting, data_dir=None))
    assert difference <= scaling.TOLERANCE and 0 < megabytes < 1
    assert [sample.work for sample in found.rounds[0].samples.values()] == [96, 96, 96], "three batches of 32 each time"


def test_the_noise_of_seeds_is_the_interval_of_a_difference_of_means():
    found = bucketing.Comparison([0.5, 0.6, 0.7], [0.4, 0.6, 0.8], sampling=0.02)
    assert found.difference == pytest.approx(0.0)
    assert found.noise == pytest.approx(2.7764 * math.sqrt((0.01 + 0.04) / 2) * math.sqrt(2 / 3), rel=1e-4), "t of 4 degrees"
    assert "within the noise" in str(found) and "3 seeds" in str(found)
    assert "-0.1000, beyond the noise" in str(bucketing.Comparison([0.5, 0.51], [0.6, 0.61], 0.02))


@pytest.fixture
def unhurried(setting, monkeypatch) -> Setting:
    """Two rounds are timed, however busy the machine is."""
    monkeypatch.setattr(timing, "ATTEMPTS", 1)
    monkeypatch.setattr(bucketing, "ROUNDS", 2)
    return setting


def test_bucketing_trains_both_ways_and_leaves_batches_as_they_were(unhurried, monkeypatch):
    pools, train = [], bucketing.train
    monkeypatch.setattr(bucketing, "train", lambda *given: pools.append((batches.POOL, given[0].seed)) or train(*given))
    found = bucketing.measure(unhurried)
    assert sorted(pools) == sorted((pool, 11711 + number) for pool in (1, batches.POOL) for number in range(3))
    assert batches.POOL == bucketing.POOLS["similar length"] > 1
    [row] = found.rows
    assert len(row.ratios) == bucketing.ROUNDS and "noise of seeds" in found.same
    table = [line for line in found.details if line.startswith("| ")]
    assert sum(line.startswith("| similar length | 1171") for line in table) == 3, "a row for every seed"
    assert sum(line.startswith(("| sst |", "| para |", "| sts |")) for line in table) == 6, "padding of every task, 16 and 32"


@pytest.mark.parametrize("loss", [0.1, NAN])
def test_bucketing_that_trains_a_worse_model_is_an_error(loss, unhurried, monkeypatch):
    calls = []

    def score(*given) -> dict[str, Score]:
        calls.append(1)
        value = 0.7 + 0.001 * len(calls) - loss * (len(calls) % 2)  # of similar length, in random order, and so on
        return {"overall_normalised": Score(value, value - 0.02, value + 0.02)}

    monkeypatch.setattr(bucketing, "train", lambda *given: None)
    monkeypatch.setattr(bucketing, "score", score)
    with pytest.raises(MinbertError, match="train a worse model"):
        bucketing.measure(unhurried)


def test_too_much_padding_is_an_error(unhurried, monkeypatch):
    monkeypatch.setitem(bucketing.POOLS, "similar length", 1)
    monkeypatch.setattr(batches, "POOL", 1)
    with pytest.raises(MinbertError, match=r"sst: .*% of the tokens in batches of 16 are padding: expected less than 3%"):
        bucketing.check_padding(unhurried)
