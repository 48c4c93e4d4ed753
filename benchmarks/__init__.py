"""How fast minBERT is beside its peers: `python -m benchmarks`."""
