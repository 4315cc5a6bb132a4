"""All of it to look at: one self-contained HTML page a run.

``page`` makes HTML out of words, tables and pictures; ``sections`` says what there is to say of a forecast,
of warnings, a model, a recommender and an experiment.
"""

from timebank_chain.attention.report.page import Picture, Section, Table, render
from timebank_chain.attention.report.sections import (
    experiment_section,
    forecast_section,
    model_section,
    recommender_section,
    suspects_section,
    warnings_section,
)

__all__ = [
    "Picture",
    "Section",
    "Table",
    "experiment_section",
    "forecast_section",
    "model_section",
    "recommender_section",
    "render",
    "suspects_section",
    "warnings_section",
]
