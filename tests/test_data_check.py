"""`check` tells what is in the data files, `download` brings the course's files or nothing."""

import http.server
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from minbert.files import MinbertError
from minbert.tokenizer import BertTokenizer
from multitask import data_check
from multitask.data_check import BLOB_IDS, blob_id, check, describe_size, download, main
from multitask.flags import run_command
from multitask.tables import SPLITS, TASKS, Row, Table

TOKENIZER = BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "film", "##s"])
SST_HEADER, STS_HEADER = "\tid\tsentence\tsentiment\n", "\tid\tsentence1\tsentence2\tsimilarity\n"
SST_TRAIN = SST_HEADER + "0\ta\tA fine film .\t4\n1\tb\tA poor film .\t0\n2\tc\tA fine film .\t4\n3\td\tA film .\t\n"
SST_DEV = SST_HEADER + "0\te\ta fine film .\t4\n1\tf\tWhat ?\t2\n"
STS_TRAIN = STS_HEADER + "0\ta\tOne .\tTwo .\t2.4\n1\tb\tThree .\tFour .\t5.0\n"
STS_DEV = STS_HEADER + "0\tc\tTwo .\tOne .\t0.4\n1\td\tThree .\tFive .\t0.6\n"


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name.replace('_', '-')}.csv").write_text(text, encoding="utf-8", newline="")
    return folder


def line_of(report: str, start: str) -> str:
    return next(line for line in report.splitlines() if line.startswith(start))


def test_the_table_of_sizes_counts_rows_labels_and_lengths(tmp_path):
    write(tmp_path, ids_sst_train=SST_TRAIN)
    report, errors = check(tmp_path, TOKENIZER)
    assert errors == []
    # rows, labelled, the handout's number, median, 99%, most, > 128, > 512; 4 tokens and [CLS] [SEP]
    assert line_of(report, "ids-sst-train.csv").split()[1:] == ["4", "3", "8,544:", "differs", "6", "6", "6", "0", "0"]
    assert line_of(report, "quora-dev.csv").split()[1:] == ["missing"], "a missing file is a remark"


def test_lengths_are_in_word_pieces_and_long_rows_are_counted(tmp_path):
    long = f"0\ta\tfilms films\t{'films ' * 70}\t1\n1\tb\tfilm\t{'films ' * 300}\t1\n2\tc\tfilm\tfilm\t1\n"
    report, _ = check(write(tmp_path, sts_train=STS_HEADER + long), TOKENIZER)
    # 4 + 140 + 3, 1 + 600 + 3 and 1 + 1 + 3 tokens as pairs
    assert line_of(report, "sts-train.csv").split()[-5:] == ["147", "604", "604", "2", "1"]
    assert "tokens: median" in report


@pytest.mark.parametrize("rows, says", [
    (141506, "141,506 or 283,010 "), (283010, "141,506 or 283,010 "), (16000, "141,506 or 283,010: differs "),
])
def test_both_cuts_of_the_quora_files_are_the_handouts(rows, says):
    table = Table(Path("quora-train.csv"), TASKS["para"], "train", [Row("a", ("One", "Two"), 1, 2)], [0] * (rows - 1), [])
    assert says in describe_size(table, TOKENIZER) and f"{rows:,}" in describe_size(table, TOKENIZER)


def test_a_row_of_exactly_the_limit_is_not_truncated(tmp_path):
    rows = "".join(f"\t{words}\t{'x ' * words}\t1\n" for words in (126, 127, 510, 511))  # and [CLS], [SEP]
    report, _ = check(write(tmp_path, ids_sst_train=SST_HEADER + rows), TOKENIZER)
    assert line_of(report, "ids-sst-train.csv").split()[-2:] == ["3", "1"]


def test_missing_labels_and_duplicates_across_splits_are_remarks(tmp_path):
    files = write(tmp_path, ids_sst_train=SST_TRAIN, ids_sst_dev=SST_DEV, sts_train=STS_TRAIN, sts_dev=STS_DEV)
    report, errors = check(files, TOKENIZER)
    remarks = report[report.index("\nremarks\n"):].splitlines()[2:]
    assert errors == [] and remarks == [
        f"{tmp_path / 'ids-sst-train.csv'}: 1 row without label skipped (line 5)",
        "ids-sst-dev.csv: rows with the text of a row of ids-sst-train.csv: 1",
        "sts-dev.csv: rows with the text of a row of sts-train.csv: 1",
    ]


def test_a_file_that_cannot_be_read_is_an_error_and_the_others_are_still_reported(tmp_path):
    report, errors = check(write(tmp_path, ids_sst_train=SST_TRAIN, ids_sst_dev=SST_HEADER + "0\ta\tx\t9\n"), TOKENIZER)
    assert line_of(report, "ids-sst-dev.csv").endswith("cannot be read")
    assert [str(error) for error in errors] == [
        f"{tmp_path / 'ids-sst-dev.csv'}:2: sentiment '9' is not a whole number from 0 to 4"]
    assert line_of(report, "ids-sst-train.csv").split()[1] == "4"


def test_a_folder_without_data_is_told_how_to_get_it(tmp_path):
    with pytest.raises(MinbertError, match="no data files in") as caught:
        check(tmp_path / "none", TOKENIZER)
    assert "multitask.data download" in caught.value.hint


def test_the_command_prints_the_report_and_returns_its_status(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(BertTokenizer, "from_pretrained", lambda name: TOKENIZER)
    write(tmp_path, ids_sst_train=SST_TRAIN)
    assert run_command(main, ["check", "--data-dir", str(tmp_path)]) == 0
    assert "ids-sst-train.csv" in capsys.readouterr().out
    assert run_command(main, ["check", "--data_dir", str(tmp_path / "none")]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: no data files") and "\nhint: " in printed.err and printed.out == ""
    write(tmp_path, ids_sst_dev="junk")
    assert run_command(main, ["check", "--data_dir", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert "cannot be read" in printed.out and printed.err.startswith(f"error: {tmp_path / 'ids-sst-dev.csv'}")
    assert run_command(main, ["chekc"]) == 2
    assert "'chekc'" in capsys.readouterr().err


def test_a_report_whose_reader_goes_away_ends_without_a_traceback():
    """As with `| head`: the pipe's other end is closed before anything is printed."""
    program = ("import sys; from multitask import data_check; data_check.BertTokenizer.from_pretrained = lambda name: None; "
               "data_check.check = lambda *_: ('report', []); from multitask.flags import run_command; "
               "sys.exit(run_command(data_check.main, ['check']))")
    running = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               cwd=Path(__file__).parents[1])
    running.stdout.close()
    assert (running.wait(timeout=120), running.stderr.read()) == (0, b"")
    running.stderr.close()


def test_every_file_of_the_courses_tasks_has_its_blob_id():
    course = (task for task in TASKS.values() if task.handout_rows)
    assert set(BLOB_IDS) == {task.file_name(split) for task in course for split in SPLITS}
    assert len(set(BLOB_IDS.values())) == 12 and all(re.fullmatch("[0-9a-f]{40}", value) for value in BLOB_IDS.values())


def test_a_blob_id_is_what_git_gives_a_file():
    assert blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", "git's id of the empty file"
    assert blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


@pytest.fixture
def site(monkeypatch):
    """A web server on this machine with two files; `site.replies[name]` = (status, headers, body) changes an answer."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.path)
            status, headers, body = self.server.replies.get(self.path[1:], (404, {}, b"not here"))
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.replies = {"one.csv": (200, {}, b"id\tone\n"), "two.csv": (200, {}, b"id\ttwo\n")}
    server.asked, server.url = [], f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(data_check, "BLOB_IDS", {name: blob_id(reply[2]) for name, reply in server.replies.items()})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def failure(folder: Path, site) -> MinbertError:
    with pytest.raises(MinbertError) as caught:
        download(folder, site.url)
    assert caught.value.exit_code == 2 and caught.value.hint and "\n" not in caught.value.message
    return caught.value


def test_a_download_brings_every_file(tmp_path, site, capsys):
    download(tmp_path / "data", site.url)
    assert contents(tmp_path / "data") == {"one.csv": b"id\tone\n", "two.csv": b"id\ttwo\n"}
    assert capsys.readouterr().out.count("checksum right") == 2


def test_right_files_are_kept_and_not_fetched_again(tmp_path, site):
    (tmp_path / "one.csv").write_bytes(b"id\tone\n")
    changed = (tmp_path / "one.csv").stat().st_mtime_ns
    download(tmp_path, site.url)
    assert site.asked == ["/two.csv"] and (tmp_path / "one.csv").stat().st_mtime_ns == changed


def test_other_files_of_the_same_names_are_never_overwritten(tmp_path, site):
    (tmp_path / "two.csv").write_bytes(b"my own work")
    error = failure(tmp_path, site)
    assert "two.csv" in error.message and "one.csv" not in error.message
    assert contents(tmp_path) == {"two.csv": b"my own work"} and site.asked == [], "refuse before fetching anything"


@pytest.mark.parametrize("reply, words", [
    ((200, {}, b"id\tother\n"), "wrong checksum"),
    ((200, {}, b""), "wrong checksum"),
    ((200, {}, b"<!DOCTYPE html><p>Please log in"), "a web page"),
    ((404, {}, b"gone"), "HTTP Error 404"),
    ((500, {}, b"oops"), "HTTP Error 500"),
    ((200, {"Content-Length": "100"}, b"id\tone\n"), "IncompleteRead"),
    ((302, {"Location": "/nowhere.csv"}, b""), "HTTP Error 404"),
])
def test_a_bad_answer_is_one_clear_error_and_leaves_nothing(tmp_path, site, reply, words):
    site.replies["one.csv"] = reply
    error = failure(tmp_path / "data", site)
    assert words in error.message and f"{site.url}/one.csv" in error.message
    assert contents(tmp_path) == {}, "not even an empty folder stays behind"


def test_files_that_came_before_a_failure_stay_and_the_next_try_goes_on(tmp_path, site):
    right, site.replies["two.csv"] = site.replies["two.csv"], (404, {}, b"")
    failure(tmp_path, site)
    assert contents(tmp_path) == {"one.csv": b"id\tone\n"}
    site.replies["two.csv"] = right
    download(tmp_path, site.url)
    assert set(contents(tmp_path)) == {"one.csv", "two.csv"} and site.asked.count("/one.csv") == 1


def test_a_server_that_does_not_answer_ends_in_an_error_too(tmp_path, site, monkeypatch):
    monkeypatch.setattr(data_check, "TIME_OUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for url in (f"http://127.0.0.1:{silent.getsockname()[1]}", "http://127.0.0.1:1"):
            with pytest.raises(MinbertError, match="cannot get .*(timed out|refused)"):
                download(tmp_path / "data", url)
    assert contents(tmp_path) == {}


def test_a_folder_that_cannot_be_written_is_an_error_naming_it(tmp_path, site):
    (tmp_path / "data").write_text("a file where the folder should be", encoding="utf-8")
    assert str(tmp_path / "data") in failure(tmp_path / "data", site).message


@pytest.mark.oracle
def test_the_report_on_the_real_files(course_data, minilm):
    report, errors = check(course_data, BertTokenizer.from_pretrained(minilm))
    assert errors == [] and "without label skipped (lines 3658, 11349)" in report
    assert line_of(report, "ids-sst-train.csv").split()[1:5] == ["8,544", "8,544", "8,544", "24"]
    assert "sts-dev.csv: rows with the text of a row of sts-train.csv: 16" in report
    unchanged = [name for name in BLOB_IDS if not name.startswith("quora")]
    assert [name for name in unchanged if blob_id((course_data / name).read_bytes()) != BLOB_IDS[name]] == []
