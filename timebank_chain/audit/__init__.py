"""Was it right: replays the chain's events and recomputes every epoch, and says check by check.

Takes a connection, a deployment and the folder of published epochs, and trusts nothing else; gives an
``AuditReport``. ``evidence`` reads the chain, ``replay`` and ``bank_replay`` rebuild the state from events
alone (a ``book`` for each contract of the bank), ``files`` reads the epochs, ``recompute`` values them again;
each other module holds one group of checks.
"""

from timebank_chain.audit.report import AuditReport, Check, Difference
from timebank_chain.audit.run import CHECKS, run_audit

__all__ = ["CHECKS", "AuditReport", "Check", "Difference", "run_audit"]
