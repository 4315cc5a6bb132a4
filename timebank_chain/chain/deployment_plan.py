"""What a deployment is to be: every parameter of the system, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from eth_typing import ChecksumAddress

from timebank_chain.chain.addresses import parse_address
from timebank_chain.errors import DeploymentError, UsageError

FULL_BPS = 10_000
MAX_FEE_BPS = 1_000
MAX_RATE_Q24 = (1 << 64) - 1


@dataclass(frozen=True)
class FeeSplit:
    """How fees divide, basis points; the loss reserve gets the rest and every rounding."""

    depositors_bps: int
    bonus_bps: int

    @property
    def reserve_bps(self) -> int:
        """What is left for the reserve."""
        return FULL_BPS - self.depositors_bps - self.bonus_bps

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``depositors/bonus/reserve`` in basis points, for example ``4000/4000/2000``."""
        parts = text.split("/")
        if len(parts) != 3 or not all(part.strip().isdigit() for part in parts):
            raise UsageError(f"not a fee split: {text!r}", hint="write three shares: 4000/4000/2000")
        depositors, bonus, reserve = (int(part) for part in parts)
        if depositors + bonus + reserve != FULL_BPS:
            raise UsageError(
                f"the fee split {text!r} adds up to {depositors + bonus + reserve}, not {FULL_BPS}",
                hint="shares are basis points, hundredths of a percent: 4000/4000/2000",
            )
        return cls(depositors, bonus)


@dataclass(frozen=True)
class DeploymentPlan:
    """Parameters of a deployment.

    Attributes
    ----------
    policy_hash, policy_uri
        The valuation policy in force from the first epoch on, and where its document is.
    rate_q24
        Micro-credits per micro-value, Q24.
    signers, threshold
        The quorum that signs epochs: ``threshold`` of ``signers``.
    governor, guardian, registrar
        Who changes parameters (after ``governance_delay`` seconds), who pauses, who links members.
    bond_wei
        What a proposer puts down per epoch.
    challenge_window, governance_delay, link_delay
        Seconds. The governance delay is shorter than the window: a wrong epoch must be voidable in it.
    challenger_share_bps
        Share of a voided epoch's bond that goes to who found the fault; the rest is burned.
    fee_bps, fee_split
        Payment fee and how the pool divides it, basis points.
    """

    policy_hash: bytes
    rate_q24: int
    signers: tuple[ChecksumAddress, ...]
    threshold: int
    governor: ChecksumAddress
    guardian: ChecksumAddress
    registrar: ChecksumAddress
    policy_uri: str = ""
    bond_wei: int = 10**16
    challenge_window: int = 86_400
    challenger_share_bps: int = 5_000
    governance_delay: int = 43_200
    link_delay: int = 259_200
    fee_bps: int = 50
    fee_split: FeeSplit = FeeSplit(depositors_bps=4_000, bonus_bps=4_000)
    token_name: str = "Attention Credit"  # noqa: S105 - the name of a coin, not a password
    token_symbol: str = "ATC"  # noqa: S105 - as above
    contract_uri: str = ""

    def check(self) -> None:
        """Refuse a plan the contracts would refuse, or that nobody could govern.

        Raises
        ------
        DeploymentError
            Naming the parameter.
        """
        if len(self.policy_hash) != 32:
            raise DeploymentError(f"a policy hash has 32 bytes, not {len(self.policy_hash)}")
        if len(set(self.signers)) != len(self.signers):
            raise DeploymentError("a signer is named twice", hint="each --signer once")
        if not 1 <= self.threshold <= len(self.signers):
            raise DeploymentError(
                f"a threshold of {self.threshold} with {len(self.signers)} signers",
                hint="--threshold lies between 1 and the number of --signer",
            )
        if not 0 < self.rate_q24 <= MAX_RATE_Q24:
            raise DeploymentError(f"rate {self.rate_q24} is not between 1 and {MAX_RATE_Q24}")
        if not 0 <= self.fee_bps <= MAX_FEE_BPS:
            raise DeploymentError(
                f"a fee of {self.fee_bps} basis points", hint=f"at most {MAX_FEE_BPS} (10 %)"
            )
        if self.challenge_window < 1:
            raise DeploymentError(f"a challenge window of {self.challenge_window} s", hint="at least 1s")
        if self.governance_delay >= self.challenge_window:
            raise DeploymentError(
                f"a governance delay of {self.governance_delay} s is not shorter than the challenge window "
                f"of {self.challenge_window} s: a wrong epoch could never be voided in time",
                hint="shorten --governance-delay or lengthen --challenge-window",
            )
        if not 0 <= self.challenger_share_bps <= FULL_BPS:
            raise DeploymentError(f"a challenger's share of {self.challenger_share_bps} basis points")

    def to_json(self) -> dict[str, Any]:
        """Return the plan as the manifest keeps it; times in seconds, amounts in wei."""
        return {
            "policyHash": "0x" + self.policy_hash.hex(),
            "policyURI": self.policy_uri,
            "rateQ24": self.rate_q24,
            "signers": list(self.signers),
            "threshold": self.threshold,
            "governor": self.governor,
            "guardian": self.guardian,
            "registrar": self.registrar,
            "bondWei": self.bond_wei,
            "challengeWindow": self.challenge_window,
            "challengerShareBps": self.challenger_share_bps,
            "governanceDelay": self.governance_delay,
            "linkDelay": self.link_delay,
            "feeBps": self.fee_bps,
            "feeSplit": {
                "depositorsBps": self.fee_split.depositors_bps,
                "bonusBps": self.fee_split.bonus_bps,
            },
            "tokenName": self.token_name,
            "tokenSymbol": self.token_symbol,
            "contractURI": self.contract_uri,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, where: str) -> Self:
        """Read a manifest's parameters."""
        try:
            return cls(
                policy_hash=bytes.fromhex(document["policyHash"].removeprefix("0x")),
                policy_uri=str(document["policyURI"]),
                rate_q24=int(document["rateQ24"]),
                signers=tuple(parse_address(signer) for signer in document["signers"]),
                threshold=int(document["threshold"]),
                governor=parse_address(document["governor"]),
                guardian=parse_address(document["guardian"]),
                registrar=parse_address(document["registrar"]),
                bond_wei=int(document["bondWei"]),
                challenge_window=int(document["challengeWindow"]),
                challenger_share_bps=int(document["challengerShareBps"]),
                governance_delay=int(document["governanceDelay"]),
                link_delay=int(document["linkDelay"]),
                fee_bps=int(document["feeBps"]),
                fee_split=FeeSplit(
                    int(document["feeSplit"]["depositorsBps"]), int(document["feeSplit"]["bonusBps"])
                ),
                token_name=str(document["tokenName"]),
                token_symbol=str(document["tokenSymbol"]),
                contract_uri=str(document["contractURI"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
            raise DeploymentError(f"the parameters are not readable: {error}", where=where) from error
