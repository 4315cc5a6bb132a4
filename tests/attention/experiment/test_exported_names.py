"""The door of the package: exactly these names, so that removing one is a decision and not an accident."""

from timebank_chain.attention import experiment

NAMES = [
    "Analysis",
    "LoggedRows",
    "OffPolicyResult",
    "OutcomeLog",
    "Plan",
    "Question",
    "TreatmentResult",
    "analyse",
    "assign",
    "assign_many",
    "evaluate",
    "experiment_figure",
    "make_plan",
    "plan_from_json",
    "read_exposures",
    "read_log",
    "read_plan",
    "write_plan",
]


def test_the_public_names_are_pinned_and_exist() -> None:
    assert sorted(experiment.__all__) == NAMES
    for name in NAMES:
        assert getattr(experiment, name).__doc__, name
