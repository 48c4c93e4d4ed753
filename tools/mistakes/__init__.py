"""Planted mistakes: what students really write, as small replacements, and whether the tests catch and name each."""
