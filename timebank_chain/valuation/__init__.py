"""What activity was worth: pure integer arithmetic, the same on every machine.

Takes activities (arrays), the accounts of the epoch before and a policy, gives every act's value and
every account's earned, standing and mint. ``policy`` reads and hashes policies, ``quality`` turns
indicators into ranks and quality, ``decay`` weighs age, ``fairness`` shares out, ``order`` fixes the
order of leaves, ``value`` puts them together, ``intake`` turns an activity table into arrays. ``change``
explains an account's numbers by what changed, ``inequality`` measures how unequal amounts are.
"""

from timebank_chain.valuation.decay import decay_constant, half_life_of, tau_of, weight, weights
from timebank_chain.valuation.intake import activities_of, fitting_domains, other_windows
from timebank_chain.valuation.policy import (
    Bracket,
    DomainPolicy,
    Knot,
    Policy,
    brackets_call,
    domain_call,
    domain_hashes,
    domain_indices,
    load_policy,
    policy_call,
    policy_document,
    policy_from_call,
    policy_from_json,
    policy_hash,
    policy_head_call,
    policy_to_json,
    policy_with,
)
from timebank_chain.valuation.value import (
    Activities,
    EpochValuation,
    Explanation,
    PreviousAccounts,
    Totals,
    ValuedAccounts,
    ValuedActivities,
    activity_values,
    explain,
    settled_ms,
    settles_in,
    value_epoch,
)

__all__ = [
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
    "policy_call",
    "policy_document",
    "policy_from_call",
    "policy_from_json",
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
