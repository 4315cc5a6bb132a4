"""The contracts as plain Python integers: takes what a contract takes, gives what it gives.

Correct and readable before fast: no numpy, no chain, no files. Tests compare it with the compiled
contracts, and the vectorised valuation with it; the auditor explains single rows through it.

=========================== ==============================
``spec.decay``              ``libraries/Decay.sol``
``spec.quality``            ``libraries/Quality.sol``
``spec.fairness``           ``libraries/Fairness.sol``
``spec.epoch_tree``         ``libraries/EpochTree.sol``
``spec.share_math``         ``libraries/ShareMath.sol``
``spec.adaptive_rate``      ``libraries/AdaptiveRate.sol``
``spec.floating_rate``      ``libraries/FloatingRate.sol``
``spec.attention_credit``   ``token/AttentionCredit.sol``
``spec.fee_pool``           ``token/FeePool.sol``
``spec.credit_distributor`` ``token/CreditDistributor.sol``
``spec.policy_registry``    ``oracle/PolicyRegistry.sol``
``spec.rate_float``         ``oracle/RateFloat.sol``
``spec.rate_oracle``        ``oracle/RateOracle.sol``
``spec.evidence``           ``libraries/Evidence.sol``
``spec.epoch_challenge``    ``oracle/EpochChallenge.sol``
``spec.leaf_requests``      ``oracle/LeafRequests.sol``
``spec.time_bank``          ``bank/TimeBank.sol``
``spec.credit_lending``     ``lending/CreditLending.sol``
``spec.credit_lease``       ``lending/CreditLease.sol``
``spec.credit_exchange``    ``market/CreditExchange.sol``
``spec.service_escrow``     ``market/ServiceEscrow.sol``
``spec.revert``             a refusal, by its custom error
=========================== ==============================
"""

from __future__ import annotations

from timebank_chain.spec import (
    adaptive_rate,
    attention_credit,
    credit_distributor,
    credit_exchange,
    credit_lease,
    credit_lending,
    decay,
    epoch_challenge,
    epoch_tree,
    evidence,
    fairness,
    fee_pool,
    floating_rate,
    leaf_requests,
    policy_registry,
    quality,
    rate_float,
    rate_oracle,
    revert,
    service_escrow,
    share_math,
    time_bank,
)

__all__ = [
    "adaptive_rate",
    "attention_credit",
    "credit_distributor",
    "credit_exchange",
    "credit_lease",
    "credit_lending",
    "decay",
    "epoch_challenge",
    "epoch_tree",
    "evidence",
    "fairness",
    "fee_pool",
    "floating_rate",
    "leaf_requests",
    "policy_registry",
    "quality",
    "rate_float",
    "rate_oracle",
    "revert",
    "service_escrow",
    "share_math",
    "time_bank",
]
