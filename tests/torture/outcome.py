"""What one measurement of the torture command found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """`tried` cases, of which `failures` (a sentence each) broke the claim. `details` are lines of Markdown for the report."""

    claim: str
    tried: int
    failures: tuple[str, ...]
    details: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return self.tried > 0 and not self.failures
