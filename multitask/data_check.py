"""What is in the course's data files (`check`), and where they come from (`download`).

Source: the 2023 starter code's repository at one commit. What arrives is the file of the blob id below, or nothing.
"""

import hashlib
import http.client
import urllib.request
from itertools import combinations
from pathlib import Path

from minbert.files import MinbertError, atomic_path
from minbert.tokenizer import BertTokenizer
from multitask.flags import Parser
from multitask.tab_separated import read_bytes
from multitask.tables import SPLITS, TASKS, Table, overlap, read_table

COMMIT = "7ac8260577fc12a86c7aaf38918056c30054ef39"
BASE_URL = f"https://raw.githubusercontent.com/gpoesia/minbert-default-final-project/{COMMIT}/data"
TIME_OUT = 30  # seconds without a byte
COLUMNS = "{:<28}{:>8}{:>10}  {:<26}{:>15}{:>6}{:>6}{:>8}{:>8}"  # of the table of sizes
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


def check(data_dir: Path, tokenizer: BertTokenizer) -> tuple[str, list[MinbertError]]:
    """A report on the files in `data_dir`, and what is wrong with those that cannot be read."""
    sizes = [COLUMNS.format("file", "rows", "labelled", "the handout says", "tokens: median", "99%", "most", "> 128", "> 512")]
    remarks, errors = [], []
    for task in TASKS.values():
        tables = []
        for split in SPLITS:
            path = data_dir / task.file_name(split)
            if not path.exists():
                sizes.append(f"{path.name:<28} missing")
                continue
            try:
                tables.append(read_table(path, task, split))
                sizes.append(describe_size(tables[-1], tokenizer))
            except MinbertError as error:
                sizes.append(f"{path.name:<28} cannot be read")
                errors.append(error)
        remarks += [warning for table in tables for warning in table.warnings] + find_duplicates(tables)
    if all(line.endswith(" missing") for line in sizes[1:]):
        raise MinbertError(f"no data files in {data_dir}", "`python -m multitask.data download` gets the course's files")
    return "\n".join([*sizes, "", "remarks", *(remarks or ["none"])]), errors


def describe_size(table: Table, tokenizer: BertTokenizer) -> str:
    """The file's line in the table of sizes. Lengths include [CLS] and [SEP]; a pair is one sequence."""
    specials = len(table.task.texts) + 1
    lengths = sorted(specials + sum(len(tokenizer.text_to_ids(text)) for text in row.texts) for row in table.rows)
    over_128, over_512 = (sum(length > limit for length in lengths) for limit in (128, 512))
    labelled = sum(row.label is not None for row in table.rows)
    rows_read = len(table.rows) + len(table.skipped)
    handout = table.task.handout_rows.get(table.split, ())
    says = " or ".join(f"{rows:,}" for rows in handout) + ": differs" * bool(handout and rows_read not in handout)
    median, nearly_all, most = (lengths[place] for place in (len(lengths) // 2, len(lengths) * 99 // 100, -1))
    return COLUMNS.format(table.path.name, f"{rows_read:,}", f"{labelled:,}", says, median, nearly_all, most,
                          f"{over_128:,}", f"{over_512:,}")


def find_duplicates(tables: list[Table]) -> list[str]:
    """A sentence for each two files of one task that hold the same texts."""
    counts = {(first.path.name, second.path.name): overlap(first, second) for first, second in combinations(tables, 2)}
    return [f"{second}: rows with the text of a row of {first}: {count:,}" for (first, second), count in counts.items() if count]


def download(data_dir: Path, base_url: str = BASE_URL) -> None:
    """Gets the twelve files into `data_dir`. Files that are there and right are kept; none is overwritten.

    Raises MinbertError where other files of these names are there (then nothing is fetched), and where a file
    cannot be had, or is not the one of BLOB_IDS (then it is not written).
    """
    there = {name for name in BLOB_IDS if (data_dir / name).exists()}
    if other := [name for name in sorted(there) if blob_id(read_bytes(data_dir / name)) != BLOB_IDS[name]]:
        raise MinbertError(f"{data_dir} holds other files named {', '.join(other)}; nothing was changed",
                           "move them away, or give another --data_dir")
    for name, expected in BLOB_IDS.items():
        if name in there:
            continue
        data = fetch(f"{base_url}/{name}")
        if blob_id(data) != expected:
            what = "a web page" if data.lstrip()[:1] == b"<" else "a file with a wrong checksum"
            raise MinbertError(f"{base_url}/{name} sent {what} ({len(data):,} bytes); it was not kept", "try again later")
        with atomic_path(data_dir / name) as temporary:
            temporary.write_bytes(data)
        print(f"{data_dir / name}: {len(data):,} bytes, checksum right", flush=True)
    print(f"{data_dir}: all {len(BLOB_IDS)} files are there, {len(there)} were before")


def fetch(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=TIME_OUT) as response:
            return response.read()
    except (OSError, http.client.HTTPException) as error:  # all of urllib's errors are OSErrors
        raise MinbertError(f"cannot get {url}: {str(error).strip('<>')}",
                           "check the network and try again, or copy the files by hand and name their --data_dir") from error


def blob_id(data: bytes) -> str:
    """The SHA-1 by which git names a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def main(arguments: list[str]) -> None:
    """`python -m multitask.data check` and `... download`."""
    parser = Parser(prog="python -m multitask.data", description="Check or download the course's data files.")
    parser.add_argument("action", choices=["check", "download"],
                        help="check: rows, lengths, duplicates; download: the course's files, verified by checksum")
    parser.add_argument("--data_dir", type=Path, default=Path("data"), help="folder of the files (default: %(default)s)")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    options = parser.parse_args(arguments)
    if options.action == "download":
        download(options.data_dir)
        return
    report, errors = check(options.data_dir, BertTokenizer.from_pretrained("minilm"))  # as bert-base-uncased's
    print(report)
    if errors:
        raise MinbertError("; ".join(error.message for error in errors), errors[0].hint)
