"""Faults of data files, recipes, places and versions as a user meets them: typed through the command line.

Shown elsewhere, and not again here (numbers as in the catalogue of faults):
F3, F4 equal rows    test_tables.py::test_crlf_byte_order_mark_and_blank_lines_give_the_same_rows
F13 empty files      test_tables.py::test_a_file_without_examples_says_so
F14 pairs            test_data.py::test_the_tokenizer_would_join_and_cut_each_text_and_pair_the_same
F15 up to a million  test_tab_separated.py::test_a_text_beyond_the_csv_modules_own_limit_is_read
F18, F19 ids         test_tokenizer.py, with the reference's
F21 undefined r      test_run.py::test_undefined_scores_are_null_in_the_files_and_never_best
F27 directories      test_run.py::test_a_mistake_gets_one_line_a_hint_and_status_2 (F50 and most of F56 as well); test_files.py
F40 report           test_report.py::test_sentences_come_out_as_text_whatever_they_hold; model card test_model_card.py
F53 hub without HOME test_hub.py::test_without_a_home_folder_there_is_a_way_out
F57, F58 typos       test_typos.py, test_recipe.py
F59 no GPU           test_run.py::test_use_gpu_without_a_gpu_is_an_error_that_says_how_to_get_one
F60 no network       test_hub.py::test_a_named_model_that_cannot_be_had_gives_three_ways_out
F61 bad downloads    test_data_check.py::test_a_bad_answer_is_one_clear_error_and_leaves_nothing; test_hub.py
F63 console          test_console.py; test_run.py::test_a_reader_that_goes_away_is_no_error
F64 torn last line   test_report.py::test_a_torn_last_line_is_left_out_and_said
F65 missing rows     test_evaluate.py
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small_run import examples, save_tiny_bert

import multitask_classifier
from minbert.files import sha256, write_text
from multitask import report, table
from multitask.flags import run_command
from multitask.tables import TASKS as KNOWN

pytestmark = pytest.mark.usefixtures("without_figures")
ROOT = Path(__file__).parents[1]
TASKS, LONG = ("sst", "para", "sts"), "word " * 200_001
HOSTILE = "<img src=x onerror=1> ![x](http://evil.example/p.png) a|b `code` $x$ \x1b[31mred\x07 \u202eback"
RECIPE = 'name = "mine"\nsource = "a test"\nextends = "quick"\n'


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """Where commands are typed: the made-up examples lie in tables/, as the course's files."""
    monkeypatch.chdir(tmp_path)
    for task in TASKS:
        for split, count, seed in (("train", 14, 0), ("dev", 9, 100), ("test", 5, 7)):
            lines = ["\t".join(["", "id", *KNOWN[task].texts, KNOWN[task].label])]
            lines += ["\t".join([str(number), one.id, *one.texts, str(one.label)])
                      for number, one in enumerate(examples(task, count, seed))]
            write_text(tmp_path / "tables" / KNOWN[task].file_name(split), "\n".join(lines) + "\n")
    return tmp_path


def type_command(model: Path, *arguments: str) -> int:
    given = {argument.partition("=")[0] for argument in arguments}
    plain = {"--option": "finetune", "--model": str(model), "--data_dir": "tables", "--epochs": "1", "--out": "run"}
    flags = [part for flag, value in plain.items() if flag not in given for part in (flag, value)]
    return run_command(multitask_classifier.main, [*flags, "--set", "max_length=32", *arguments])


def refused(capsys, place: Path, status: int, *words: str) -> None:
    """One line with these words, a hint, status 2, and nothing left behind."""
    shown = capsys.readouterr().err
    assert status == 2 and re.fullmatch(r"error: .+\nhint: .+\n", shown), shown
    assert shown.replace("\n", "").isprintable() and len(shown) < 700, shown
    assert all(word in shown for word in words), shown
    left = [path.name for path in place.iterdir() if path.name in ("run", "runs", "predictions") and any(path.iterdir())]
    assert not left, f"{left} was left behind"


def cell(line: int, column: int, value: str) -> Callable[[bytes], bytes]:
    """Puts a value into a cell of a file; line 1 is the header."""
    def put(data: bytes) -> bytes:
        rows = [row.split("\t") for row in data.decode().split("\n")]
        rows[line - 1][column] = value
        return "\n".join("\t".join(row) for row in rows).encode()

    return put


# number, file, what happens to it, what the message says
DATA_FAULTS = [
    ("F1", "ids-sst-train", cell(4, 2, '"never closed'), ["ids-sst-train.csv:4: unterminated quote opened here"]),
    ("F1", "quora-dev", cell(10, 3, '"at the end'), ["quora-dev.csv:10: unterminated quote"]),
    ("F2", "ids-sst-dev", cell(3, 2, "a\tb"), ["ids-sst-dev.csv:3: 5 columns, expected 4"]),
    ("F3", "ids-sst-dev", lambda data: data.decode().encode("utf-16"), ["looks like UTF-16", "save it as UTF-8"]),
    ("F4", "sts-train", cell(5, 2, "a\rb"), ["sts-train.csv:5: carriage return"]),
    ("F6", "sts-dev", cell(2, 4, "nan"), ["sts-dev.csv:2: similarity 'nan'", "from 0 to 5"]),
    ("F6", "ids-sst-train", cell(2, 3, "inf"), ["sentiment 'inf'"]),
    ("F7", "ids-sst-train", cell(9, 3, "7"), ["ids-sst-train.csv:9: sentiment '7' is not a whole number from 0 to 4"]),
    ("F7", "sts-test-student", cell(2, 4, "5.3"), ["similarity '5.3' is not a number from 0 to 5"]),
    ("F7", "quora-train", cell(2, 4, "2"), ["is_duplicate '2' is not a whole number from 0 to 1"]),
    ("F8", "ids-sst-dev", cell(2, 3, "3.5"), ["sentiment '3.5'"]),
    ("F9", "ids-sst-dev", cell(2, 3, "1_0"), ["'1_0'"]), ("F9", "ids-sst-dev", cell(2, 3, "٣"), ["'٣'"]),
    ("F10", "ids-sst-dev", cell(3, 1, "sst100-0"), ["ids-sst-dev.csv:3: id 'sst100-0' already stands on line 2"]),
    ("F10", "sts-test-student", cell(3, 1, "a,b"), ["id 'a,b' is empty, or holds a comma"]),
    ("F13", "quora-dev", lambda data: b"", ["no examples in", "quora-dev.csv", "empty"]),
    ("F13", "quora-train", lambda data: data.split(b"\n")[0] + b"\n", ["nothing but a header line"]),
    ("F15", "ids-sst-train", cell(2, 2, LONG), ["ids-sst-train.csv:2: a text of more than 1,000,000 characters"]),
    ("F16", "ids-sst-train", lambda data: data.replace(b"film", b"fi\xe9m", 1), ["byte 0xe9 at offset", "as UTF-8"]),
    ("F20", "ids-sst-train", lambda data: data.replace(b"\t", b","), ["missing columns", "is it comma-separated?"]),
    ("F20", "sts-dev", lambda data: data.replace(b"similarity", b"score"), ["missing columns similarity; found 5 columns"]),
    ("F22", "ids-sst-dev", lambda data: b"\x1f\x8b" + data, ["is compressed with gzip", "gunzip"]),
    ("F22", "ids-sst-dev", lambda data: b"version https://git-lfs.github.com/spec/v1\n", ["git-lfs pointer", "git lfs pull"]),
    ("F22", "ids-sst-dev", lambda data: b"<!DOCTYPE html><html>404</html>", ["is a web page"]),
    ("F40", "ids-sst-dev", cell(2, 3, "\x1b[31m\u202e"), ["ids-sst-dev.csv:2: sentiment '\\x1b[31m\\u202e'"]),
]


@pytest.mark.parametrize("number, name, damage, words", DATA_FAULTS, ids=[f"{row[0]}-{row[1]}" for row in DATA_FAULTS])
def test_a_damaged_data_file_ends_the_run_before_it_begins(number, name, damage, words, place, model, capsys):
    path = place / "tables" / f"{name}.csv"
    path.write_bytes(damage(path.read_bytes()))
    refused(capsys, place, type_command(model), f"{Path('tables', path.name)}", *words)


def test_f22_a_missing_file_and_a_directory_have_their_sentences(place, model, capsys):
    refused(capsys, place, type_command(model, "--sst_dev", "nowhere.csv"), "no such file: nowhere.csv")
    refused(capsys, place, type_command(model, "--sst_dev", "tables"), "tables", "directory")
    refused(capsys, place, type_command(model, "--sst_dev", "\x1b[31mred\n"), "no such file: ?[31mred? ")


def test_f5_f10_f11_f12_f14_f17_what_is_odd_is_counted_and_the_run_goes_on(place, model, capsys):
    tables = place / "tables"
    first = (tables / "ids-sst-train.csv").read_text(encoding="utf-8").split("\n")[1].split("\t")[2]
    changes = {"ids-sst-train": [cell(3, 3, ""), cell(7, 3, " "), cell(4, 2, "a\0b"), cell(5, 2, "film " * 10_000)],
               "ids-sst-dev": [cell(2, 2, ""), cell(3, 2, first)], "sts-train": [cell(4, 1, "sts0-0")]}
    for name, some in changes.items():
        path = tables / f"{name}.csv"
        for change in some:
            path.write_bytes(change(path.read_bytes()))
    assert type_command(model) == 0
    shown = capsys.readouterr()
    for words in ("2 rows without label skipped (lines 3, 7)", "1 row with an empty sentence kept (line 2)",
                  "1 times U+0000 removed", "sst: 1 of 9 dev texts are also in train",
                  "1 row with the id of an earlier row (line 4)", "sst train: 1 of 12 examples (8.3%) are cut to 32 tokens"):
        assert words in shown.out, words
    lines = (place / "predictions" / "sst-dev-output.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 10, "F12: the empty sentence has an answer"
    assert "nan" not in (place / "run" / "outputs" / "sst-dev.csv").read_text(encoding="utf-8").lower()


@pytest.mark.parametrize("flag, value, words", [
    ("--out", "in_the_way", ["in_the_way"]), ("--out", "in_the_way/run", ["in_the_way/run"]),
    ("--out", "tables", ["not an empty"]), ("--out", "/dev/null", ["/dev/null"]),
    ("--sst_dev_out", "in_the_way/x.csv", ["in_the_way/x.csv"]),
    ("--sts_test_out", "/dev/null", ["/dev/null"]), ("--out", "/proc/nowhere/run", ["/proc/nowhere/run"]),
])
def test_f27_f50_a_place_that_cannot_be_written_is_told_before_training(flag, value, words, place, model, capsys):
    write_text(place / "in_the_way", "mine")
    refused(capsys, place, type_command(model, flag, value), *words)
    assert (place / "in_the_way").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("config, words", [
    (None, ["config.json"]), ("{", ["config.json", "JSON"]), ("[]", ["config.json"]),
    ('"hidden_size": 1000000000', ["hidden_size"]), ('"num_hidden_layers": -1', ["num_hidden_layers"]),
    ('"hidden_dropout_prob": 2', ["hidden_dropout_prob"]), ('"hidden_size": "16"', ["hidden_size"]),
    ('"num_attention_heads": 3', ["hidden_size 16", "num_attention_heads 3"]), ('"vocab_size": null', ["vocab_size"]),
])
def test_f37_a_models_configuration_is_checked_before_anything_is_made(config, words, place, model, capsys):
    path = Path(shutil.copytree(model, place / "bert"), "config.json")
    (place / "bert" / "manifest.json").unlink(missing_ok=True)  # the ecosystem's folders have none
    path.unlink() if config is None else path.write_text(config if config[0] in "{[" else re.sub(
        rf"{config.partition(':')[0]}: [^,\n]+", config, path.read_text()), encoding="utf-8")
    refused(capsys, place, type_command(place / "bert"), *words)


@pytest.mark.parametrize("text, words", [
    (RECIPE.replace("mine", "../../x"), ["mine.toml: name: '../../x'"]),  # F39
    ('name = "mine', ["mine.toml: not valid TOML", "end of document"]),
    (RECIPE + 'name = "again"\n', ["mine.toml: not valid TOML", "line 4"]),
    (RECIPE + "seed = 1.5\n", ["seed", "1.5"]), (RECIPE + "seed = ${SEED}\n", ["not valid TOML", "line 4"]),
    (RECIPE + "[stages.0]\nepochs = 0\n", ["stages[0].epochs", "0"]),
    (RECIPE + '[stages.0]\nobjectives = ["stt"]\n', ["stages[0].objectives", "'stt'"]),
    (RECIPE.replace("quick", "quik"), ["quik", "quick"]),
    (RECIPE.replace("a test", "a\\u001b[31mtest"), ["source"]),
])
def test_f39_f56_f58_a_wrong_recipe_is_told_with_its_place(text, words, place, model, capsys):
    write_text(place / "mine.toml", text)
    status = run_command(multitask_classifier.main, ["--recipe", "mine.toml", "--model", str(model), "--data_dir", "tables"])
    shown = capsys.readouterr().err
    assert status == 2 and shown.startswith("error: ") and shown.count("\n") <= 2 and all(word in shown for word in words), shown
    assert sorted(path.name for path in place.iterdir()) == ["mine.toml", "tables"], "nothing is left behind"


def test_f40_hostile_sentences_and_names_stay_text_through_a_whole_run(place, model, capsys):
    for name in ("ids-sst-train", "ids-sst-dev"):
        path = place / "tables" / f"{name}.csv"
        for line in (2, 3, 4, 5):
            path.write_bytes(cell(line, 2, HOSTILE)(cell(line, 1, f"<b>{line}|\x1b[31m")(path.read_bytes())))
    assert type_command(Path(shutil.copytree(model, place / "<i>a|b`"))) == 0
    assert run_command(report.main, ["run"]) == 0 == run_command(table.main, ["run"])
    shown = capsys.readouterr().out
    assert shown.replace("\n", "").isprintable() and "<i>" in shown, "the screen gets no control character"
    pages = [place / "run" / "report.md", place / "run" / "best" / "README.md"]
    text = "\n".join([*(path.read_text(encoding="utf-8") for path in pages), shown[shown.index("| run |"):]])
    text = re.sub(r"(?m)^    .*$|^base_model: .*$", "", text)  # the command is shown as code
    assert text.replace("\n", "").isprintable()
    for pattern in (r"<(img|i|b)>?\b", r"(?<!\\)!?(?<!\\)\[x", r"(?<!\\)`code", r"://", r"(?<!\\)\$x", r"<b>"):
        assert not (found := re.search(pattern, text)), f"{found[0]!r} is not escaped"
    for row in (line for line in text.splitlines() if line.startswith("| ") and "onerror" in line):
        assert len(re.split(r"(?<!\\)\|", row)) == 7, "id, sentence, label, answer, probability"


def test_f62_an_old_torch_is_named_with_the_version_that_is_needed(monkeypatch, capsys):
    monkeypatch.setattr(torch, "__version__", "2.4.1+cpu")
    assert run_command(multitask_classifier.main, ["--list_recipes"]) == 2
    assert capsys.readouterr().err.startswith("error: minBERT needs torch>=2.10 (CVE-2026-24747), found 2.4.1+cpu\nhint: ")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX names")
def test_f53_without_home_caches_utf_8_or_a_reader_the_run_is_the_same(place, model):
    """Two processes, since all that is said when Python starts: one as usual, one with everything missing."""
    command = [sys.executable, str(ROOT / "multitask_classifier.py"), "--option", "finetune", "--model", str(model), "--data_dir",
               "tables", "--epochs", "1", "--set", "max_length=32"]
    poor = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "HF_HOME": "/proc/nowhere", "MPLCONFIGDIR": "/proc/nowhere",
            "LC_ALL": "C", "LANG": "C", "TERM": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii",
            "OMP_NUM_THREADS": "1"}
    ends = {}
    for out, environment in (("usual", os.environ | {"OMP_NUM_THREADS": "1"}), ("poor", poor)):
        running = subprocess.Popen([*command, "--out", out], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if out == "poor":
            running.stdout.close()  # F63: the reader goes away before the first word, and the run goes on
        ends[out] = (running.communicate(timeout=300)[1] if out == "usual" else running.stderr.read()).decode()
        assert running.wait(timeout=300) == 0 and "Traceback" not in ends[out], ends[out]
    for name in ("best/model.safetensors", "best/heads.safetensors", "predictions/sts-test-output.csv"):
        assert sha256(place / "usual" / name) == sha256(place / "poor" / name), name
    assert (place / "poor" / "report.md").exists()


def test_f53_no_duration_is_taken_from_a_clock_that_can_be_set():
    for package in ("minbert", "optim", "multitask"):
        for path in (ROOT / package).glob("*.py"):
            calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                     if isinstance(node, ast.Call)}
            if path.name != "files.py":  # there an age decides whether a sum is computed again, which is never wrong
                assert not calls & {"time.time", "datetime.now", "datetime.datetime.now"}, f"{path}: use time.perf_counter"


def test_every_text_file_is_opened_with_its_encoding_and_no_module_needs_posix():
    """On Windows the default encoding is cp1252, and there is no fork and no fcntl."""
    for path in sorted([*ROOT.glob("*.py"), *(one for package in ("minbert", "optim", "multitask")
                                              for one in (ROOT / package).glob("*.py"))]):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = {alias.name for alias in node.names} | {getattr(node, "module", "")}
                assert not names & {"fcntl", "pwd", "grp", "resource", "termios"}, path
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called, keywords = ast.unparse(node.func), {keyword.arg for keyword in node.keywords}
            binary = any(isinstance(value, ast.Constant) and value.value in ("rb", "wb", "ab", "r+b") for value in node.args)
            if called in ("open", "os.fdopen") or called.endswith(".read_text") and not called.startswith("Path("):
                own = called.endswith("read_text") and len(node.args) == 1  # multitask.tab_separated.read_text(path)
                assert binary or own or "encoding" in keywords, f"{path}:{node.lineno}: {ast.unparse(node)}"
