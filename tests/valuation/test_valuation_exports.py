"""The one door of the package, and the bench that measures it."""

from __future__ import annotations

import json

import pytest

from scripts import bench_valuation as bench
from timebank_chain import examples, policies, valuation

EXPECTED = [
    "Activities",
    "Bracket",
    "DomainPolicy",
    "EpochValuation",
    "Explanation",
    "Knot",
    "Policy",
    "PreviousAccounts",
    "Totals",
    "ValuedAccounts",
    "ValuedActivities",
    "activities_of",
    "activity_values",
    "brackets_call",
    "decay_constant",
    "domain_call",
    "domain_hashes",
    "domain_indices",
    "explain",
    "fitting_domains",
    "half_life_of",
    "load_policy",
    "other_windows",
    "policy_document",
    "policy_from_json",
    "policy_call",
    "policy_from_call",
    "policy_hash",
    "policy_head_call",
    "policy_to_json",
    "policy_with",
    "settled_ms",
    "settles_in",
    "tau_of",
    "value_epoch",
    "weight",
    "weights",
]


def test_public_names_are_these():
    assert sorted(valuation.__all__) == sorted(EXPECTED)
    assert all(hasattr(valuation, name) for name in EXPECTED)


def test_unknown_presets_and_examples_are_key_errors():
    with pytest.raises(KeyError):
        policies.read_preset("../policies/git")
    with pytest.raises(KeyError):
        examples.example_path("../__init__.py")
    with pytest.raises(KeyError):
        examples.example_about("none")


def test_bench_measures_both_sides(capsys):
    assert bench.main(["--rows", "20000", "--accounts", "300", "--repeat", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert all(seconds > 0 for seconds in result["seconds"].values())
    # Exact integers stay close to float64: a unit of micro-value per act, and the decay's stated error.
    assert 0 < result["max_weight_error"] < 4.2e-8
    assert 0 <= result["max_quality_error_micro"] < 1.001
    assert result["max_relative_error_per_account"] < 1e-6


def test_bench_prints_a_table(capsys):
    assert bench.main(["--rows", "1000", "--accounts", "10", "--repeat", "1"]) == 0
    text = capsys.readouterr().out
    assert "Valuation of 1,000 acts of 10 accounts" in text
    assert "x pandas" in text
