"""The exception tree: one sentence each, a way out, and the exit code the command ends with.

::

    TimebankError                    exit 1
    |- UsageError                    exit 2   a flag or argument is wrong
    |- InputError                    exit 1   a file or row from outside is wrong
    |  |- ActivityError                       activity, mapping or source files
    |  |- MembersError                        the members file
    |  |- OfferError                          a lease offer or its file
    |  |- TradeOrderError                     an order of the exchange or an order book's file
    |  |- ContentError                        a text kept off chain, or its file
    |  |- AttentionError                      a feed, model file or log of the attention twin
    |  `- PolicyError                         a policy document
    |- EpochError                    exit 1   building, reading or proving an epoch
    |  |- TamperedEpoch                       a file does not match its header or manifest
    |  |- DataUnavailable                     a published epoch cannot be had where its header says
    |  `- InvalidProof                        a leaf is not under the root
    |- WalletError                   exit 1   keystores and keys
    |  `- WrongPassword
    |- ChainError                    exit 1   node, deployment or transaction
    |  |- ConnectionFailed
    |  |- WrongChain
    |  |- CodeMismatch                        code at an address is not the shipped artifact
    |  |- DeploymentError
    |  |- TransactionFailed
    |  `- ContractError                       one subclass per custom error (chain.reverts), and
    |                                          ContractClosed (chain.system)
    |- OracleError                   exit 1   feed, quorum, journal, daemon
    `- CheckFailed                   exit 3   the audit or a verification found a fault
"""

from __future__ import annotations

from typing import ClassVar


class TimebankError(Exception):
    """Base of every error this project raises on purpose.

    Parameters
    ----------
    message
        One sentence with the offending value.
    hint
        The way out, as an instruction; shown on its own line.
    where
        File, row or field, when there is one (``feed.csv:17, field 'occurred'``).
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None, where: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    @property
    def code(self) -> str:
        """Stable machine-readable name: the class name."""
        return type(self).__name__

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class UsageError(TimebankError):
    """A flag or argument is wrong."""

    exit_code: ClassVar[int] = 2


class InputError(TimebankError):
    """Something handed in from outside is wrong."""


class ActivityError(InputError):
    """An activity, mapping or source file cannot be used."""


class AttentionError(InputError):
    """A feed, model file, experiment or vault of the attention twin cannot be used."""


class ContentError(InputError):
    """A text, or its file in the content store, cannot be used."""


class MembersError(InputError):
    """The members file cannot be used."""


class OfferError(InputError):
    """A lease offer cannot be used."""


class TradeOrderError(InputError):
    """An order of the exchange cannot be used."""


class PolicyError(InputError):
    """A policy document cannot be used."""


class EpochError(TimebankError):
    """An epoch cannot be built, read or proved."""


class TamperedEpoch(EpochError):
    """A published file does not match its manifest, header or recomputation."""


class DataUnavailable(EpochError):
    """A published epoch cannot be had: no place is named, or it is missing, refused, too slow or too large.

    Nothing is known of its content, unlike with :class:`TamperedEpoch`.
    """


class InvalidProof(EpochError):
    """A leaf is not under the root at its index."""


class WalletError(TimebankError):
    """A keystore or key cannot be used."""


class WrongPassword(WalletError):
    """The keystore does not open with this password."""


class ChainError(TimebankError):
    """The node, the deployment or a transaction failed."""


class ConnectionFailed(ChainError):
    """No node answers."""


class WrongChain(ChainError):
    """The node serves another chain than the deployment names."""


class CodeMismatch(ChainError):
    """The code at an address is not the shipped artifact."""


class DeploymentError(ChainError):
    """A deployment manifest is missing, incomplete or contradicts the chain."""


class TransactionFailed(ChainError):
    """A transaction was refused by the node, reverted without a reason, or never mined."""


class ContractError(ChainError):
    """A contract refused with a custom error; see ``timebank_chain.chain.reverts``."""


class OracleError(TimebankError):
    """The feed, the quorum, the journal or the daemon is in a state it cannot go on from."""


class CheckFailed(TimebankError):
    """An audit or verification found a fault."""

    exit_code: ClassVar[int] = 3
