"""Runs the notebooks, each in a new kernel, and writes their outputs back.

    python -m tools.notebooks [NAME ...]

NAME is a file, or part of a name: `2` or `attention`; left out, all run. A notebook that fails keeps its old outputs.
"""

import base64
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from minbert.files import MinbertError, write_text
from multitask.flags import Parser, run_command
from tools.exercises import ROOT

if TYPE_CHECKING:
    from nbformat import NotebookNode

FOLDER = ROOT / "notebooks"
PATIENCE = 600  # seconds for one cell, where other programs use the machine too
# One thread: the numbers are then the same on any machine with the same processor
QUIET = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
METADATA = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"}}


def find_notebooks(names: list[str]) -> list[Path]:
    """The notebooks that the names stand for, in the order of their numbers; all, for no names."""
    paths = sorted(FOLDER.glob("*.ipynb"))
    found = {name: [path for path in paths if Path(name).stem in path.stem] for name in names}
    for name, matching in found.items():
        if not matching:
            raise MinbertError(f"no notebook is called {name!r}", f"there are {', '.join(path.stem for path in paths)}")
    return [path for path in paths if not names or any(path in matching for matching in found.values())]


def run_notebook(path: Path) -> "tuple[NotebookNode, float]":
    """The notebook with new outputs, and the seconds of processor time it took, the start of its kernel included.

    Raises MinbertError naming the cell and its error.
    """
    try:
        import matplotlib.font_manager  # noqa: F401  its first import lists the fonts and says so: not in a cell
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError, CellTimeoutError
    except ImportError as error:
        raise MinbertError(f"running notebooks needs more: {error}", "pip install -r requirements-dev.txt") from error
    notebook, before = nbformat.read(path, as_version=4), os.times()
    for cell in notebook.cells:
        cell.metadata = {}
    client = NotebookClient(notebook, timeout=PATIENCE, kernel_name="python3", record_timing=False, coalesce_streams=True,
                            extra_arguments=["--log-level=40"], resources={"metadata": {"path": str(path.parent)}})
    try:
        client.execute(env=os.environ | QUIET)
    except CellExecutionError as error:
        number = client.code_cells_executed
        raise MinbertError(f"{path.name}: code cell {number}: {error.ename}: {error.evalue}") from error
    except CellTimeoutError as error:
        raise MinbertError(f"{path.name}: a cell takes more than {PATIENCE} seconds") from error
    after = os.times()
    notebook.metadata = METADATA
    for data in [output.data for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]:
        if "image/png" in data:
            data["image/png"] = shrink_png(data["image/png"])
    return notebook, after.children_user + after.children_system - before.children_user - before.children_system


def shrink_png(encoded: str) -> str:
    """The same picture in 256 colours, a third of the size; base64 in and out."""
    from PIL import Image

    picture, file = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB"), io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(file, format="png", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")


def write_notebook(path: Path, notebook: "NotebookNode") -> None:
    import nbformat

    write_text(path, nbformat.writes(notebook) + "\n")


def main(arguments: list[str]) -> None:
    parser = Parser(prog="python -m tools.notebooks", description="Run notebooks and write their outputs back.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a file, or part of a notebook's name; left out: all")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    flags = parser.parse_args(arguments)
    for path in find_notebooks(flags.names):
        notebook, seconds = run_notebook(path)
        write_notebook(path, notebook)
        print(f"{path.name}: {seconds:.0f} s of processor time, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
