"""What is in the course's data files (`check`), and where they come from (`download`).

Source: the 2023 starter code's repository at one commit. Each file's git blob id is written down here: what
arrives is that file, or nothing.
"""

import argparse
import hashlib
import http.client
import importlib.util
import sys
import urllib.request
from collections import Counter
from pathlib import Path

from minbert.files import MinbertError, atomic_path, error_from_os
from minbert.hub import PACKAGE
from minbert.tokenizer import BertTokenizer
from multitask.tables import SPLITS, TASKS, Table, Task, overlap, read_table, text_key

COMMIT = "7ac8260577fc12a86c7aaf38918056c30054ef39"
BASE_URL = f"https://raw.githubusercontent.com/gpoesia/minbert-default-final-project/{COMMIT}/data"
TIME_OUT = 30  # seconds without a byte
BLOB_IDS = {  # git's name for a file's content
    "ids-sst-train.csv": "9cb7333cb1dae49c2bd2a4b56a24882a6e8704b5",
    "ids-sst-dev.csv": "3171aa629a340809d2db4a50df8f6e5ec9420ab0",
    "ids-sst-test-student.csv": "bbd2313758825f86e24416d6aad64cd93370cf7a",
    "quora-train.csv": "a3b5546f6a0e65b60a328a5d294d1038f5bed1da",
    "quora-dev.csv": "de7cfa32428fd470b93f778fccc45a619e01336f",
    "quora-test-student.csv": "f257ef00558555afb50819578a58205732b16354",
    "sts-train.csv": "12b17760e7795fee35aeeabc290d5651de02622a",
    "sts-dev.csv": "9392860e584717976b8d817cc40c9e6ceeec27e0",
    "sts-test-student.csv": "25f0cf8fafdd1f82b9e2bb460c708af34341ce60",
    "ids-cfimdb-train.csv": "cd57bcbd2f7214ea6dd1783d3e885d324b1f478d",
    "ids-cfimdb-dev.csv": "8a0f5dcf3d40189b96c801a12cd79bf8003e61de",
    "ids-cfimdb-test-student.csv": "1e789c709b3ca0511f027a309b6d8bd21cde41b2",
}


def check(data_dir: Path, tokenizer: BertTokenizer | None = None) -> tuple[str, int]:
    """A report on the files in `data_dir`, and the exit status: 0, or 2 where a file cannot be read.

    Lengths are in tokens, or without a tokenizer in words. Row counts other than the handout's, missing files
    and duplicates are remarks, not errors.
    """
    tables, sizes, errors = {}, [], []
    for task in TASKS.values():
        for split in SPLITS:
            path = data_dir / task.file_name(split)
            if not path.exists():
                sizes.append(f"{path.name:<28} missing")
                continue
            try:
                tables[task.name, split] = table = read_table(path, task, split)
                sizes.append(describe_size(table, tokenizer))
            except MinbertError as error:
                sizes.append(f"{path.name:<28} cannot be read")
                errors += [f"error: {error.message}", f"hint: {error.hint}"]
    if not tables and not errors:
        hint = "`python -m multitask.data download` gets the course's files"
        raise MinbertError(f"no data files in {data_dir}", hint)
    unit = "words" if tokenizer is None else "tokens"
    labels = [describe_labels(t) for t in tables.values() if any(row.label is not None for row in t.rows)]
    remarks = [warning for table in tables.values() for warning in table.warnings]
    remarks += [remark for task in TASKS.values() for remark in find_duplicates(task, tables)]
    lines = [
        f"{'file':<28}{'rows':>8}{'labelled':>10}  {'the handout says':<26}{unit + ': median':>15}{'99%':>6}"
        f"{'most':>6}{'> 128':>8}{'> 512':>8}",
        *sizes, "", "labels, in percent of the rows (scores rounded)", *labels,
        "", "remarks", *(remarks or ["none"]), *([""] * bool(errors)), *errors,
    ]
    return "\n".join(lines) + "\n", 2 if errors else 0


def describe_size(table: Table, tokenizer: BertTokenizer | None) -> str:
    """The file's line in the table of sizes. Lengths include [CLS] and [SEP]; a pair is one sequence."""
    split = str.split if tokenizer is None else tokenizer.text_to_ids
    specials = len(table.task.texts) + 1
    lengths = sorted(specials + sum(len(split(text)) for text in row.texts) for row in table.rows)
    over_128, over_512 = (sum(length > limit for length in lengths) for limit in (128, 512))
    labelled = sum(row.label is not None for row in table.rows)
    handout = table.task.handout_rows[table.split]
    says = " or ".join(f"{rows:,}" for rows in handout) + ": differs" * (table.rows_read not in handout)
    return (f"{table.path.name:<28}{table.rows_read:>8,}{labelled:>10,}  {says:<26}"
            f"{lengths[len(lengths) // 2]:>15}{lengths[len(lengths) * 99 // 100]:>6}{lengths[-1]:>6}"
            f"{over_128:>8,}{over_512:>8,}")


def describe_labels(table: Table) -> str:
    counts = Counter(int(row.label + 0.5) for row in table.rows if row.label is not None)
    shares = [f"{label}: {100 * counts[label] / counts.total():4.1f}" for label in sorted(counts)]
    return f"{table.path.name:<28} {'   '.join(shares)}"


def find_duplicates(task: Task, tables: dict[tuple[str, str], Table]) -> list[str]:
    """A sentence for each file, and each two files of the task, that hold the same texts."""
    own = [tables[task.name, split] for split in SPLITS if (task.name, split) in tables]
    remarks = []
    for place, table in enumerate(own):
        name = table.path.name
        repeated = len(table.rows) - len({text_key(row) for row in table.rows})
        if repeated:
            remarks.append(f"{name}: rows with the text of an earlier row: {repeated:,}")
        for earlier in own[:place]:
            if same := overlap(earlier, table):
                remarks.append(f"{name}: rows with the text of a row of {earlier.path.name}: {same:,}")
            if task.is_pair and (shared := count_shared(earlier, table)):
                remarks.append(f"{name}: rows that share a sentence with {earlier.path.name}: {shared:,}")
    return remarks


def count_shared(train: Table, dev: Table) -> int:
    """How many rows of `dev` have at least one sentence that occurs in `train`."""
    seen = {text for row in train.rows for text in text_key(row)}
    return sum(any(text in seen for text in text_key(row)) for row in dev.rows)


def download(data_dir: Path, base_url: str = BASE_URL) -> None:
    """Gets the twelve files into `data_dir`. Files that are there and right are kept; none is overwritten.

    Raises:
        MinbertError: other files of these names are there (then nothing is fetched); a file cannot be had, or
            is not the one of BLOB_IDS (then it is not written).
    """
    there = {name: data_dir / name for name in BLOB_IDS if (data_dir / name).exists()}
    other = [name for name, path in there.items() if blob_id(read_bytes(path)) != BLOB_IDS[name]]
    if other:
        raise MinbertError(f"{data_dir} holds other files named {', '.join(other)}; nothing was changed",
                           "move them away, or give another --data_dir")
    for name, expected in BLOB_IDS.items():
        if name in there:
            print(f"{data_dir / name}: there already")
            continue
        url = f"{base_url}/{name}"
        data = fetch(url)
        if blob_id(data) != expected:
            what = "a web page" if data.lstrip()[:1] == b"<" else "a file with a wrong checksum"
            raise MinbertError(f"{url} sent {what} ({len(data):,} bytes); it was not kept", "try again later")
        with atomic_path(data_dir / name) as temporary:
            temporary.write_bytes(data)
        print(f"{data_dir / name}: {len(data):,} bytes, checksum right", flush=True)


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise error_from_os(error, path, "read") from error


def fetch(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=TIME_OUT) as response:
            return response.read()
    except (OSError, http.client.HTTPException) as error:  # all of urllib's errors are OSErrors
        hint = "check the network and try again, or copy the files by hand and name their --data_dir"
        raise MinbertError(f"cannot get {url}: {str(error).strip('<>')}", hint) from error


def blob_id(data: bytes) -> str:
    """The SHA-1 by which git names a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def find_tokenizer() -> BertTokenizer | None:
    """The packaged model's, with bert-base-uncased's vocabulary; None where it is missing: no download."""
    return BertTokenizer.from_pretrained("minilm") if importlib.util.find_spec(PACKAGE) else None


def main(arguments: list[str] | None = None) -> int:
    """`python -m multitask.data check` and `... download`. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m multitask.data", allow_abbrev=False)
    parser.description = "Check or download the course's data files."
    what = "check: rows, labels, lengths, duplicates; download: the course's files, verified by checksum"
    parser.add_argument("action", choices=["check", "download"], help=what)
    where = "folder of the files (default: %(default)s)"
    parser.add_argument("--data_dir", "--data-dir", type=Path, default=Path("data"), help=where)
    options = parser.parse_args(arguments)
    sys.stdout.reconfigure(errors="replace")  # a console that cannot show a character shows "?"
    try:
        if options.action == "download":
            download(options.data_dir)
            return 0
        report, status = check(options.data_dir, find_tokenizer())
    except MinbertError as error:
        print(f"error: {error.message}\nhint: {error.hint}", file=sys.stderr)
        return error.exit_code
    print(report, end="")
    return status
