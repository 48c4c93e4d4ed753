"""A report of sections, each with its own date: a run that renews some leaves the others as they are."""

import re
from pathlib import Path


def read_sections(path: Path) -> dict[str, str]:
    """Name -> text below its heading, of an earlier report, if there is one."""
    parts = re.split(r"^## (.+)\n", path.read_text(encoding="utf-8") if path.exists() else "", flags=re.MULTILINE)
    return {name: text.rstrip("\n") + "\n" for name, text in zip(parts[1::2], parts[2::2], strict=True)}
