"""Was it the treatment? Takes a plan and a log, gives an effect with its interval, or says why not.

``plan`` and ``design`` fix what is asked, ``power`` how many members that takes, ``assign`` who gets which
arm; ``log`` reads what happened and holds it against the plan, ``looks`` and ``sequence`` compare arms at
every day, ``guardrails`` watch over what may not be harmed, ``analyse`` concludes. ``off_policy`` estimates
a policy from another's log. ``simulate`` counts false alarms, ``plots`` draws.
"""

from timebank_chain.attention.experiment.analyse import Analysis, TreatmentResult, analyse
from timebank_chain.attention.experiment.assign import assign, assign_many
from timebank_chain.attention.experiment.design import Question, make_plan
from timebank_chain.attention.experiment.log import OutcomeLog, read_exposures, read_log
from timebank_chain.attention.experiment.off_policy import LoggedRows, OffPolicyResult, evaluate
from timebank_chain.attention.experiment.plan import Plan, plan_from_json, read_plan, write_plan
from timebank_chain.attention.experiment.plots import experiment_figure

__all__ = [
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
