"""The contracts as plain Python integers: takes what a contract takes, gives what it gives.

Correct and readable before fast: no numpy, no chain, no files. Tests compare it with the compiled
contracts, and the vectorised valuation with it; the auditor explains single rows through it.

========================= ==============================
``spec.decay``            ``libraries/Decay.sol``
``spec.quality``          ``libraries/Quality.sol``
``spec.fairness``         ``libraries/Fairness.sol``
``spec.epoch_tree``       ``libraries/EpochTree.sol``
========================= ==============================
"""

from __future__ import annotations

from timebank_chain.spec import decay, epoch_tree, fairness, quality

__all__ = ["decay", "epoch_tree", "fairness", "quality"]
