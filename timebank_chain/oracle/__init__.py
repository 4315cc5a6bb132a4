"""Who says it: from a growing feed to a finalised epoch, once each, by a quorum.

Takes a feed, members, a policy and keys; gives published epochs, signatures, proposals, finalised
roots and pushed claims. Every effect on chain is journalled before it is sent.
"""

from timebank_chain.oracle.daemon import Did, OracleDaemon, Tick
from timebank_chain.oracle.journal import Journal
from timebank_chain.oracle.settings import OracleSettings
from timebank_chain.oracle.sign import (
    Collected,
    HeaderSignature,
    collect_signatures,
    sign_header,
    write_signature,
)

__all__ = [
    "Collected",
    "Did",
    "HeaderSignature",
    "Journal",
    "OracleDaemon",
    "OracleSettings",
    "Tick",
    "collect_signatures",
    "sign_header",
    "write_signature",
]
