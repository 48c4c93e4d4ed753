"""The notebooks: they run from top to bottom in a new kernel, and what is stored is what a reader should see."""

import json
import re
from pathlib import Path

import pytest

from minbert.files import MinbertError
from tools import notebooks

NOTEBOOKS = notebooks.find_notebooks([])
SECONDS = 45  # of processor time; on a quiet machine none takes 30, but sharing caches with other work costs up to half more
MACHINE = re.compile(r"/(?:home|root|tmp|opt|usr|work|mnt|var|Users)/[\w.-]+|\b[A-Z]:\\\w+|site-packages|0x[0-9a-f]{6,}")
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def code_cells(path: Path) -> list[dict]:
    return [cell for cell in read(path) if cell["cell_type"] == "code"]


def text_of(output: dict) -> str:
    """What a reader can read of an output: printed text, or a value's text; of a picture nothing."""
    data = output.get("data", {})
    return "".join(output.get("text", "" if "image/png" in data else data.get("text/plain", "")))


def outline(path_or_cells: list[dict]) -> list[list[tuple]]:
    """Kinds and words of every code cell's outputs; numbers are left out, they differ a little between machines."""
    return [[(sorted(output.get("data", {})), re.sub(r"[-+]?\d[\d.,]*(e[-+]?\d+)?|\s+|nan", " ", text_of(output)).split())
             for output in cell["outputs"]] for cell in path_or_cells if cell["cell_type"] == "code"]


def test_there_are_notebooks():
    assert NOTEBOOKS, "notebooks/ holds no .ipynb"


@each
def test_every_cell_was_run_once_from_top_to_bottom(path):
    counts = [cell["execution_count"] for cell in code_cells(path)]
    assert counts and counts == list(range(1, len(counts) + 1)), \
        f"stored counts are {counts}: run python -m tools.notebooks {path.stem}"


@each
def test_no_output_is_an_error_or_a_warning(path):
    for number, cell in enumerate(code_cells(path), start=1):
        for output in cell["outputs"]:
            assert output["output_type"] != "error", f"cell {number} ends in {output['ename']}: {output['evalue']}"
            assert output.get("name") != "stderr", f"cell {number}: a warning or a progress bar: {text_of(output)}"


@each
def test_nothing_tells_of_the_machine_it_ran_on(path):
    for cell in read(path):
        texts = ["".join(cell["source"]), *map(text_of, cell.get("outputs", []))]
        found = [match[0] for text in texts for match in MACHINE.finditer(text)]
        assert not found, f"paths or addresses of one machine: {found}"


@each
def test_a_notebook_is_small_has_figures_and_short_cells(path):
    kinds = [kind for cell in code_cells(path) for output in cell["outputs"] for kind in output.get("data", {})]
    assert "image/png" in kinds, "no figure is stored: the first cell needs %matplotlib inline"
    assert path.stat().st_size < 500_000, f"{path.stat().st_size:,} bytes are more than 500,000: fewer or smaller figures"
    longest = max(len("".join(cell["source"]).split("\n")) for cell in code_cells(path))
    assert longest <= 14, f"a code cell has {longest} lines: 12 are enough"


@each
def test_a_notebook_uses_the_repository_and_asks_questions(path):
    cells = read(path)
    code = "\n".join("".join(cell["source"]) for cell in code_cells(path))
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert 'sys.path.insert(0, "..")' in "".join(code_cells(path)[0]["source"]), "the first code cell finds the repository"
    assert "pyplot" not in code, "figures come from multitask.figures and multitask.maps"
    assert "shared/data" not in code, "data: the bundled samples only"
    assert text.count("<details>") == text.count("</details>") >= 2, "exercises with folded answers are missing"


@pytest.mark.slow
@each
def test_a_notebook_runs_and_its_stored_outputs_are_its_own(path, minilm):
    pytest.importorskip("nbclient")
    pytest.importorskip("matplotlib")
    notebook, seconds = notebooks.run_notebook(path)
    assert seconds < SECONDS, f"{seconds:.0f} s of processor time are more than {SECONDS}"
    assert outline(notebook.cells) == outline(read(path)), f"outputs are old: python -m tools.notebooks {path.stem}"


def test_a_notebook_is_found_by_a_part_of_its_name_and_a_wrong_name_says_what_there_is():
    first = NOTEBOOKS[0]
    assert first in notebooks.find_notebooks([first.stem[:6]])
    assert notebooks.find_notebooks([f"notebooks/{first.name}"]) == [first]
    with pytest.raises(MinbertError, match="no notebook is called 'zeppelin'") as raised:
        notebooks.find_notebooks(["zeppelin"])
    assert first.stem in raised.value.hint


@pytest.mark.slow
def test_the_error_of_an_open_exercise_is_named(tmp_path):
    """tests/exercise_report.py reads it there: in a student's copy a notebook waits and does not fail."""
    nbformat = pytest.importorskip("nbformat")
    code = 'raise NotImplementedError("Exercise 3.3: scaled dot-product attention")'
    path = tmp_path / "open.ipynb"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1"), nbformat.v4.new_code_cell(code)])
    notebooks.write_notebook(path, notebook)
    before = path.read_bytes()
    message = r"open.ipynb: code cell 2: NotImplementedError: Exercise 3\.3: scaled dot-product attention"
    with pytest.raises(MinbertError, match=message):
        notebooks.run_notebook(path)
    assert path.read_bytes() == before
