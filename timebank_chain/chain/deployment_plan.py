"""What a deployment is to be: every parameter of the system, checked before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from eth_typing import ChecksumAddress

from timebank_chain.chain.addresses import parse_address
from timebank_chain.chain.bank_plan import STANDARD_BANK, BankPlan
from timebank_chain.errors import DeploymentError, PolicyError, UsageError
from timebank_chain.spec.floating_rate import MIN_STEP
from timebank_chain.units import format_micro
from timebank_chain.valuation.policy import (
    Policy,
    policy_document,
    policy_from_json,
    policy_hash,
    policy_to_json,
)

FULL_BPS = 10_000
MAX_FEE_BPS = 1_000
MAX_TRADE_FEE_BPS = 500
MAX_SERVICE_FEE_BPS = 1_000
MAX_RATE_Q24 = (1 << 64) - 1
MAX_FLOAT_STEP = (1 << 64) - 1
MAX_WEI = (1 << 96) - 1


def usual_answer_time(challenge_window: int) -> int:
    """Return the seconds that let a search through a large tree, begun in the window's first half, end in it.

    Each of some 20 levels takes a request and an answer. In a short window a minute, if there is room: blocks
    take their time.
    """
    return max(challenge_window // 48, min(longest_answer_time(challenge_window), 60))


def longest_answer_time(challenge_window: int) -> int:
    """Return the most seconds with which a few rounds of requests and answers fit into the window."""
    return max(1, challenge_window // 4)


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
    policy, policy_uri
        The valuation policy in force from the first epoch on, and where its document is.
    rate_q24
        Micro-credits per micro-value, Q24.
    float_step_micro
        Micro-credits spent beyond what is minted that double the rate; 0: it is fixed.
    signers, threshold
        The quorum that signs epochs: ``threshold`` of ``signers``.
    governor, guardian, registrar, canceller
        Who changes parameters and resumes (after ``governance_delay`` seconds), who pauses, who links
        members, who drops what waits for its delay.
    bond_wei
        What a proposer puts down per epoch.
    challenge_window, governance_delay, link_delay
        Seconds. The governance delay is shorter than the window: a wrong epoch must be voidable in it.
    challenger_share_bps
        Share of a voided epoch's bond that goes to who found the fault; the rest is burned.
    answer_time, request_deposit_wei
        Seconds to show a leaf of a proposed epoch that somebody asks for, and what the first request costs.
    fee_bps, fee_split
        Payment fee and how the pool divides it, basis points.
    service_fee_bps
        Fee on what providers of services get, basis points.
    bank
        Deposits, lending and leasing.
    trade_fee_bps
        Fee on credits exchanged, basis points.
    """

    policy: Policy
    rate_q24: int
    signers: tuple[ChecksumAddress, ...]
    threshold: int
    governor: ChecksumAddress
    guardian: ChecksumAddress
    registrar: ChecksumAddress
    canceller: ChecksumAddress
    policy_uri: str = ""
    float_step_micro: int = 0
    bond_wei: int = 10**16
    challenge_window: int = 86_400
    challenger_share_bps: int = 5_000
    answer_time: int = 1_800
    request_deposit_wei: int = 25 * 10**14
    governance_delay: int = 43_200
    link_delay: int = 259_200
    fee_bps: int = 50
    service_fee_bps: int = 50
    fee_split: FeeSplit = FeeSplit(depositors_bps=4_000, bonus_bps=4_000)
    token_name: str = "Attention Credit"  # noqa: S105 - the name of a coin, not a password
    token_symbol: str = "ATC"  # noqa: S105 - as above
    contract_uri: str = ""
    bank: BankPlan = STANDARD_BANK
    trade_fee_bps: int = 30

    @property
    def policy_hash(self) -> bytes:
        """What stands for the policy on chain."""
        return policy_hash(self.policy)

    def check(self) -> None:
        """Refuse a plan the contracts would refuse, or that nobody could govern.

        Raises
        ------
        DeploymentError
            Naming the parameter.
        """
        try:
            policy_from_json(policy_to_json(self.policy))
        except PolicyError as error:
            raise DeploymentError(
                f"the registry would refuse the policy: {error.message}", hint=error.hint, where=error.where
            ) from error
        if len(set(self.signers)) != len(self.signers):
            raise DeploymentError("a signer is named twice", hint="each --signer once")
        if not 1 <= self.threshold <= len(self.signers):
            raise DeploymentError(
                f"a threshold of {self.threshold} with {len(self.signers)} signers",
                hint="--threshold lies between 1 and the number of --signer",
            )
        if not 0 < self.rate_q24 <= MAX_RATE_Q24:
            raise DeploymentError(f"rate {self.rate_q24} is not between 1 and {MAX_RATE_Q24}")
        if not 0 <= self.float_step_micro <= MAX_FLOAT_STEP:
            raise DeploymentError(
                f"a float step of {self.float_step_micro} micro-credits, at most {MAX_FLOAT_STEP}",
                hint="--float-step: credits, or leave it out for a fixed rate",
            )
        if 0 < self.float_step_micro < MIN_STEP:
            raise DeploymentError(
                f"with a float step of {self.float_step_micro} micro-credits the rate never moves",
                hint=f"--float-step: at least {format_micro(MIN_STEP)} credits, better what an epoch mints",
            )
        if not 0 <= self.fee_bps <= MAX_FEE_BPS:
            raise DeploymentError(
                f"a fee of {self.fee_bps} basis points", hint=f"at most {MAX_FEE_BPS} (10 %)"
            )
        if not 0 <= self.service_fee_bps <= MAX_SERVICE_FEE_BPS:
            raise DeploymentError(
                f"a fee of {self.service_fee_bps} basis points on services",
                hint=f"at most {MAX_SERVICE_FEE_BPS} (10 %)",
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
        if not 1 <= self.answer_time <= longest_answer_time(self.challenge_window):
            raise DeploymentError(
                f"an answer time of {self.answer_time} s with a challenge window of "
                f"{self.challenge_window} s: several rounds of requests and answers must fit into it",
                hint=f"choose 1s to {longest_answer_time(self.challenge_window)}s for --answer-time",
            )
        if not 0 < self.request_deposit_wei <= MAX_WEI:
            raise DeploymentError(
                f"a deposit of {self.request_deposit_wei} wei for a request",
                hint="--request-deposit: above 0",
            )
        self.bank.check()
        if not 0 <= self.trade_fee_bps <= MAX_TRADE_FEE_BPS:
            raise DeploymentError(
                f"a fee of {self.trade_fee_bps} basis points on trades",
                hint=f"at most {MAX_TRADE_FEE_BPS} (5 %)",
            )

    def to_json(self) -> dict[str, Any]:
        """Return the plan as the manifest keeps it; times in seconds, amounts in wei."""
        return {
            "policy": policy_document(self.policy),
            "policyURI": self.policy_uri,
            "rateQ24": self.rate_q24,
            "floatStepMicro": self.float_step_micro,
            "signers": list(self.signers),
            "threshold": self.threshold,
            "governor": self.governor,
            "guardian": self.guardian,
            "registrar": self.registrar,
            "canceller": self.canceller,
            "bondWei": self.bond_wei,
            "challengeWindow": self.challenge_window,
            "challengerShareBps": self.challenger_share_bps,
            "answerTime": self.answer_time,
            "requestDepositWei": self.request_deposit_wei,
            "governanceDelay": self.governance_delay,
            "linkDelay": self.link_delay,
            "feeBps": self.fee_bps,
            "serviceFeeBps": self.service_fee_bps,
            "feeSplit": {
                "depositorsBps": self.fee_split.depositors_bps,
                "bonusBps": self.fee_split.bonus_bps,
            },
            "tokenName": self.token_name,
            "tokenSymbol": self.token_symbol,
            "contractURI": self.contract_uri,
            "bank": self.bank.to_json(),
            "tradeFeeBps": self.trade_fee_bps,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, where: str) -> Self:
        """Read a manifest's parameters."""
        try:
            return cls(
                policy=policy_from_json(json.dumps(document["policy"]), where="policy"),
                policy_uri=str(document["policyURI"]),
                rate_q24=int(document["rateQ24"]),
                float_step_micro=int(document["floatStepMicro"]),
                signers=tuple(parse_address(signer) for signer in document["signers"]),
                threshold=int(document["threshold"]),
                governor=parse_address(document["governor"]),
                guardian=parse_address(document["guardian"]),
                registrar=parse_address(document["registrar"]),
                canceller=parse_address(document["canceller"]),
                bond_wei=int(document["bondWei"]),
                challenge_window=int(document["challengeWindow"]),
                challenger_share_bps=int(document["challengerShareBps"]),
                answer_time=int(document["answerTime"]),
                request_deposit_wei=int(document["requestDepositWei"]),
                governance_delay=int(document["governanceDelay"]),
                link_delay=int(document["linkDelay"]),
                fee_bps=int(document["feeBps"]),
                service_fee_bps=int(document["serviceFeeBps"]),
                fee_split=FeeSplit(
                    int(document["feeSplit"]["depositorsBps"]), int(document["feeSplit"]["bonusBps"])
                ),
                token_name=str(document["tokenName"]),
                token_symbol=str(document["tokenSymbol"]),
                contract_uri=str(document["contractURI"]),
                bank=BankPlan.from_json(document["bank"], where=where),
                trade_fee_bps=int(document["tradeFeeBps"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, UsageError, PolicyError) as error:
            raise DeploymentError(f"the parameters are not readable: {error}", where=where) from error
