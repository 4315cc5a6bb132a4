"""What an act's attention will be: takes a table or a dump, gives a model with its card, and predictions.

::

    table.py, dump.py -> dataset.py    features known at posting, attention received later
    leakage.py, sums.py                columns that know the future are refused
    doubt.py                           what is suspiciously good is warned of
    recipes.py -> frozen.py            fitted with scikit-learn, kept as plain arrays
    evidence.py                        judged in order of time, beside honest baselines
    intervals.py                       how sure it is, and how often that held
    training.py -> trained.py          the way from data to a model; what a model does
    card.py, file.py, plots.py         what is told of it, kept of it, drawn of it
"""

from timebank_chain.attention.model.card import card_markdown, choosing, suspicion, verdict
from timebank_chain.attention.model.dataset import Dataset, Feature
from timebank_chain.attention.model.dump import dump_dataset
from timebank_chain.attention.model.file import read_model, write_model
from timebank_chain.attention.model.table import table_dataset
from timebank_chain.attention.model.task import Task, read_task
from timebank_chain.attention.model.trained import Evaluation, Prediction, TrainedModel
from timebank_chain.attention.model.training import Plan, train

__all__ = [
    "Dataset",
    "Evaluation",
    "Feature",
    "Plan",
    "Prediction",
    "Task",
    "TrainedModel",
    "card_markdown",
    "choosing",
    "dump_dataset",
    "read_model",
    "read_task",
    "suspicion",
    "table_dataset",
    "train",
    "verdict",
    "write_model",
]
