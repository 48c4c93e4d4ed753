"""Correct code in other words passes the exercises' tests: none of them demands our own way of writing."""

import pytest
from nested_run import run_nested
from variants import adamw, attention, pcgrad

# the test file, the exercise or section, and how many of its tests there are at least
COMPONENTS = {attention: ("test_attention.py", "3", 12), adamw: ("test_adamw.py", "5.1", 40),
              pcgrad: ("test_gradient_surgery.py", "7.4", 6)}


@pytest.mark.parametrize("module, name", [
    pytest.param(module, name, id=f"{module.__name__.rpartition('.')[2]}: {name}", marks=[pytest.mark.slow] * (module is adamw))
    for module in COMPONENTS for name in module.VARIANTS])
def test_a_correct_variant_passes_the_tests_of_the_exercises(module, name, monkeypatch):
    used = []
    for place, function in module.VARIANTS[name].items():

        def noted(*arguments, function=function, place=place, **options):
            used.append(place)
            return function(*arguments, **options)

        monkeypatch.setattr(module.PLACE + place, noted)
    component, exercise, least = COMPONENTS[module]
    result = run_nested([component], "--exercise", exercise, "-k", "not fused")  # torch's kernel is no variant of ours
    assert result.failed == {}, f"{component} demands our own way of writing it: {result.failed}"
    assert result.passed >= least and set(used) == set(module.VARIANTS[name]), "the variant was not put to the test"
