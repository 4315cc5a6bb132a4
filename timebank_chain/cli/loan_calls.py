"""What the loan commands share: approvals, the policy in force, and small words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from timebank_chain.cli.options import require_epochs
from timebank_chain.units import format_time

if TYPE_CHECKING:
    from eth_typing import ChecksumAddress

    from timebank_chain.chain.signer import Signer
    from timebank_chain.chain.system import Timebank
    from timebank_chain.chain.transactions import Call
    from timebank_chain.valuation import Policy


def policy_in_force(timebank: Timebank, epochs: Path | None, policy: str | None) -> Policy:
    """Read the policy in force: the one given, or the file its hash names beside the epochs."""
    from timebank_chain.chain.bank_reverts import NotPolicyInForce
    from timebank_chain.epoch.file import read_policy
    from timebank_chain.valuation import load_policy, policy_hash

    wanted = timebank.rate_oracle.policy_hash()
    if policy is None:
        return read_policy(require_epochs(epochs), wanted)
    document = load_policy(policy)
    if policy_hash(document) != wanted:
        raise NotPolicyInForce({"policyHash": policy_hash(document), "expected": wanted})
    return document


def unknown_policy(timebank: Timebank, epochs: Path, policy: str | None) -> Policy | None:
    """Return the policy in force if the pool does not know it yet."""
    if timebank.credit_lending.accepted_policy()[0] == timebank.rate_oracle.policy_hash():
        return None
    return policy_in_force(timebank, epochs, policy)


def accept_call(timebank: Timebank, policy: Policy) -> Call:
    """Propose showing the pool a policy."""
    from timebank_chain.valuation import policy_head_call

    return timebank.credit_lending.accept_policy(policy_head_call(policy))


def approvals(timebank: Timebank, signer: Signer, micro: int) -> list[Call]:
    """Let the pool take exactly ``micro``, unless it may take that much already."""
    credit, pool = timebank.attention_credit, timebank.credit_lending.address
    if credit.allowance(signer.address, pool) >= micro:
        return []
    return [credit.approve(pool, micro)]


def require_balance(timebank: Timebank, account: ChecksumAddress, micro: int) -> None:
    """Refuse what the wallet cannot pay before an approval is sent for it."""
    from timebank_chain.chain.openzeppelin_reverts import ERC20InsufficientBalance

    balance = timebank.attention_credit.balance_of(account)
    if balance < micro:
        raise ERC20InsufficientBalance({"sender": account, "balance": balance, "needed": micro})


def moment(seconds: int) -> str:
    """Write Unix seconds as a time."""
    return format_time(seconds * 1_000)


def percent(ppm: int) -> str:
    """Write millionths as a percentage."""
    return f"{ppm / 10_000:.2f} %"
