"""The state that follows from the events alone: balances, claims, links, fees, parameters, epochs.

Pure: takes decoded events in the order of the chain, gives a ``Ledger``. Whatever the contracts could
never have emitted (a second link, a burn of credits nobody had, an epoch finalised that was never
proposed) is kept as an anomaly, under the name of the group of checks that reports it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from timebank_chain.audit.evidence import Event
from timebank_chain.audit.report import Difference

ZERO_ADDRESS = "0x" + "0" * 40
Position = tuple[int, int]
T = TypeVar("T")


@dataclass
class Timeline(Generic[T]):
    """A parameter through time: every value with the place of the event that set it."""

    values: list[tuple[Position, T]] = field(default_factory=list)

    def set(self, position: Position, value: T) -> None:
        """Record that ``value`` is in force from ``position`` on."""
        self.values.append((position, value))

    def at(self, position: Position) -> T | None:
        """Return what was in force just before ``position``, ``None`` if nothing was set yet."""
        found: T | None = None
        for place, value in self.values:
            if place >= position:
                break
            found = value
        return found

    @property
    def last(self) -> T | None:
        """The value in force at the end of the replay."""
        return self.values[-1][1] if self.values else None


@dataclass(frozen=True)
class Mint:
    """Credits that came into being."""

    event: Event
    receiver: str
    amount: int


@dataclass(frozen=True)
class Claim:
    """One ``Claimed`` event with what the account had claimed before it."""

    event: Event
    account: str
    receiver: str
    epoch: int
    amount: int
    cumulative: int
    claimed_before: int


@dataclass
class Link:
    """A placeholder's way to a wallet."""

    wallet: str
    requested: Event
    effective_at: int
    confirmed: Event | None = None


@dataclass
class Proposal:
    """One proposed epoch and what became of it."""

    event: Event
    epoch: int
    header_hash: bytes
    proposer: str
    header: Mapping[str, Any]
    signers: list[str]
    bond: int
    challenge_ends_at: int
    outcome: Literal["pending", "finalised", "voided"] = "pending"
    outcome_event: Event | None = None


@dataclass
class FeeAccounts:
    """The three accounts of the fee pool, in micro-credits."""

    depositors: int = 0
    bonus: int = 0
    reserve: int = 0

    @property
    def total(self) -> int:
        """All three together."""
        return self.depositors + self.bonus + self.reserve


@dataclass
class Ledger:
    """Everything the events say, at the end of the replay.

    Attributes
    ----------
    balances
        Address -> micro-credits, for every address ever seen in a ``Transfer``.
    allowance_pairs
        (owner, spender) of every ``Approval``.
    mints, burned
        Credits that came into being, and the sum of those destroyed.
    claimed, claims
        Account -> micro-credits claimed so far, and every claim in order.
    links
        Placeholder -> its latest link request.
    fees, bonus_before
        The fee pool's accounts, and the bonus pot just before each position it changed at.
    proposals
        Every proposed epoch, voided ones too, in order.
    policy, rate, quorum, bond, window, paused, fee_bps, split
        Parameters through time.
    withdrawable, bonds_withdrawn
        Wei that wait for their owners, and wei that left.
    """

    balances: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    allowance_pairs: set[tuple[str, str]] = field(default_factory=set)
    mints: list[Mint] = field(default_factory=list)
    burned: int = 0
    transfers: list[Event] = field(default_factory=list)
    claimed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    claims: list[Claim] = field(default_factory=list)
    links: dict[str, Link] = field(default_factory=dict)
    link_history: dict[str, Timeline[str]] = field(default_factory=lambda: defaultdict(Timeline))
    payments: list[Event] = field(default_factory=list)
    fee_bps: Timeline[int] = field(default_factory=Timeline)
    fees: FeeAccounts = field(default_factory=FeeAccounts)
    split: Timeline[tuple[int, int]] = field(default_factory=Timeline)
    bonus: Timeline[int] = field(default_factory=Timeline)
    pots_burned: list[Event] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)
    policy: Timeline[bytes] = field(default_factory=Timeline)
    rate: Timeline[int] = field(default_factory=Timeline)
    quorum: Timeline[tuple[tuple[str, ...], int]] = field(default_factory=Timeline)
    bond: Timeline[int] = field(default_factory=Timeline)
    window: Timeline[int] = field(default_factory=Timeline)
    paused: Timeline[bool] = field(default_factory=Timeline)
    authority: dict[str, Timeline[str]] = field(default_factory=lambda: defaultdict(Timeline))
    withdrawable: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    bonds_withdrawn: int = 0
    anomalies: list[tuple[str, Difference]] = field(default_factory=list)

    @property
    def minted(self) -> int:
        """All credits that ever came into being."""
        return sum(mint.amount for mint in self.mints)

    @property
    def supply(self) -> int:
        """Minted less burned."""
        return self.minted - self.burned

    @property
    def finalised(self) -> list[Proposal]:
        """The finalised epochs in order."""
        return [proposal for proposal in self.proposals if proposal.outcome == "finalised"]

    def anomalies_of(self, group: str) -> list[Difference]:
        """Return what the contracts of ``group`` could never have emitted."""
        return [difference for name, difference in self.anomalies if name == group]

    def accepted_before(self, position: Position) -> Proposal | None:
        """Return the epoch whose root claims were paid from at ``position``."""
        latest = None
        for proposal in self.finalised:
            event = proposal.outcome_event
            if event is not None and (event.block, event.log_index) < position:
                latest = proposal
        return latest


def replay(events: Iterable[Event]) -> Ledger:
    """Replay decoded events in the order of the chain.

    Events no handler is named for change nothing this ledger keeps (roles, permits, metadata).
    """
    ledger = Ledger()
    for event in events:
        handler = _HANDLERS.get((event.contract, event.name))
        if handler is not None:
            handler(ledger, event)
    return ledger


def _anomaly(ledger: Ledger, group: str, event: Event, expected: object, found: object, meaning: str) -> None:
    ledger.anomalies.append((group, Difference(event.where, str(expected), str(found), meaning)))


# ---------------------------------------------------------------- AttentionCredit


def _transfer(ledger: Ledger, event: Event) -> None:
    sender, receiver, amount = event.args["from"], event.args["to"], int(event.args["value"])
    ledger.transfers.append(event)
    if sender == ZERO_ADDRESS:
        ledger.mints.append(Mint(event, receiver, amount))
    else:
        ledger.balances[sender] -= amount
        if ledger.balances[sender] < 0:
            _anomaly(
                ledger,
                "supply",
                event,
                f"at most {ledger.balances[sender] + amount} micro-credits to leave {sender}",
                amount,
                "credits were spent that no event ever gave to this address",
            )
    if receiver == ZERO_ADDRESS:
        ledger.burned += amount
    else:
        ledger.balances[receiver] += amount


def _approval(ledger: Ledger, event: Event) -> None:
    ledger.allowance_pairs.add((event.args["owner"], event.args["spender"]))


# ---------------------------------------------------------------- CreditDistributor


def _claimed(ledger: Ledger, event: Event) -> None:
    account = event.args["account"]
    before = ledger.claimed[account]
    claim = Claim(
        event=event,
        account=account,
        receiver=event.args["receiver"],
        epoch=int(event.args["epoch"]),
        amount=int(event.args["amount"]),
        cumulative=int(event.args["cumulative"]),
        claimed_before=before,
    )
    ledger.claims.append(claim)
    if claim.amount <= 0 or claim.cumulative != before + claim.amount:
        _anomaly(
            ledger,
            "claims",
            event,
            f"cumulative {before} + amount {claim.amount}, amount above 0",
            f"cumulative {claim.cumulative}",
            "a claim pays exactly what the account has earned since its last one",
        )
    ledger.claimed[account] = claim.cumulative


# ---------------------------------------------------------------- MemberRegistry


def _link_requested(ledger: Ledger, event: Event) -> None:
    placeholder = event.args["placeholder"]
    known = ledger.links.get(placeholder)
    if known is not None and known.confirmed is not None:
        _anomaly(
            ledger,
            "registry",
            event,
            f"{placeholder} linked once, to {known.wallet}",
            f"a new request for {event.args['wallet']}",
            "a confirmed link is for ever",
        )
        return
    ledger.links[placeholder] = Link(event.args["wallet"], event, int(event.args["effectiveAt"]))


def _link_rejected(ledger: Ledger, event: Event) -> None:
    placeholder = event.args["placeholder"]
    known = ledger.links.get(placeholder)
    if known is None or known.confirmed is not None:
        _anomaly(
            ledger,
            "registry",
            event,
            "an open request",
            "none" if known is None else "a confirmed link",
            "only an open request can be rejected",
        )
        return
    del ledger.links[placeholder]


def _link_confirmed(ledger: Ledger, event: Event) -> None:
    placeholder, wallet = event.args["placeholder"], event.args["wallet"]
    known = ledger.links.get(placeholder)
    if known is None or known.confirmed is not None or known.wallet != wallet:
        expected = "an open request" if known is None else f"an open request for {known.wallet}"
        _anomaly(ledger, "registry", event, expected, wallet, "a link follows its own request, once")
        return
    known.confirmed = event
    ledger.link_history[placeholder].set(event.position, wallet)


# ---------------------------------------------------------------- fees


def _paid(ledger: Ledger, event: Event) -> None:
    ledger.payments.append(event)


def _fee_set(ledger: Ledger, event: Event) -> None:
    ledger.fee_bps.set(event.position, int(event.args["feeBps"]))


def _fees_collected(ledger: Ledger, event: Event) -> None:
    args = {name: int(value) for name, value in event.args.items()}
    parts = args["toDepositors"] + args["toBonus"] + args["toReserve"]
    if parts != args["amount"]:
        _anomaly(
            ledger, "fees", event, args["amount"], parts, "the three parts must add up to what was collected"
        )
    ledger.fees.depositors += args["toDepositors"]
    ledger.fees.bonus += args["toBonus"]
    ledger.fees.reserve += args["toReserve"]
    ledger.bonus.set(event.position, ledger.fees.bonus)


def _pot_burned(ledger: Ledger, event: Event) -> None:
    amount = int(event.args["amount"])
    ledger.pots_burned.append(event)
    if amount > ledger.fees.bonus:
        _anomaly(
            ledger,
            "fees",
            event,
            f"at most the bonus account, {ledger.fees.bonus}",
            amount,
            "a pot was burned that was never collected",
        )
    ledger.fees.bonus -= amount
    ledger.bonus.set(event.position, ledger.fees.bonus)


def _split_set(ledger: Ledger, event: Event) -> None:
    ledger.split.set(event.position, (int(event.args["depositorsBps"]), int(event.args["bonusBps"])))


# ---------------------------------------------------------------- RateOracle


def _epoch_proposed(ledger: Ledger, event: Event) -> None:
    ledger.proposals.append(
        Proposal(
            event=event,
            epoch=int(event.args["epoch"]),
            header_hash=event.args["headerHash"],
            proposer=event.args["proposer"],
            header=event.args["header"],
            signers=list(event.args["signers"]),
            bond=int(event.args["bond"]),
            challenge_ends_at=int(event.args["challengeEndsAt"]),
        )
    )


def _close(ledger: Ledger, event: Event, outcome: Literal["finalised", "voided"]) -> None:
    epoch = int(event.args["epoch"])
    pending = ledger.proposals[-1] if ledger.proposals else None
    if pending is None or pending.outcome != "pending" or pending.epoch != epoch:
        _anomaly(
            ledger,
            "epochs",
            event,
            f"epoch {epoch} proposed and pending",
            "nothing pending" if pending is None else f"epoch {pending.epoch}, {pending.outcome}",
            f"an epoch was {outcome} that was not waiting",
        )
        return
    if event.args["headerHash"] != pending.header_hash:
        _anomaly(
            ledger,
            "epochs",
            event,
            f"header 0x{pending.header_hash.hex()}, as proposed",
            f"0x{event.args['headerHash'].hex()}",
            f"another header was {outcome} than the one proposed",
        )
    pending.outcome = outcome
    pending.outcome_event = event


def _epoch_finalised(ledger: Ledger, event: Event) -> None:
    _close(ledger, event, "finalised")
    proposal = ledger.proposals[-1] if ledger.proposals else None
    if proposal is not None and proposal.outcome_event is event:
        ledger.withdrawable[proposal.proposer] += proposal.bond


def _epoch_voided(ledger: Ledger, event: Event) -> None:
    _close(ledger, event, "voided")
    proposal = ledger.proposals[-1] if ledger.proposals else None
    reward, burned = int(event.args["reward"]), int(event.args["burned"])
    if proposal is not None and proposal.outcome_event is event and reward + burned != proposal.bond:
        _anomaly(
            ledger,
            "bonds",
            event,
            f"reward and burned part together {proposal.bond} wei",
            f"{reward} + {burned}",
            "part of a voided proposal's bond is unaccounted for",
        )
    ledger.withdrawable[event.args["challenger"]] += reward


def _bond_withdrawn(ledger: Ledger, event: Event) -> None:
    owner, amount = event.args["owner"], int(event.args["amount"])
    if amount > ledger.withdrawable[owner]:
        _anomaly(
            ledger,
            "bonds",
            event,
            f"at most {ledger.withdrawable[owner]} wei",
            amount,
            "a bond was paid out that was not the owner's",
        )
    ledger.withdrawable[owner] -= amount
    ledger.bonds_withdrawn += amount


def _policy_set(ledger: Ledger, event: Event) -> None:
    ledger.policy.set(event.position, event.args["policyHash"])


def _rate_set(ledger: Ledger, event: Event) -> None:
    ledger.rate.set(event.position, int(event.args["rateQ24"]))


def _quorum_set(ledger: Ledger, event: Event) -> None:
    ledger.quorum.set(event.position, (tuple(event.args["signers"]), int(event.args["threshold"])))


def _bond_set(ledger: Ledger, event: Event) -> None:
    ledger.bond.set(event.position, int(event.args["bond"]))


def _window_set(ledger: Ledger, event: Event) -> None:
    ledger.window.set(event.position, int(event.args["challengeWindow"]))


def _paused_set(ledger: Ledger, event: Event) -> None:
    ledger.paused.set(event.position, bool(event.args["paused"]))


def _authority_updated(ledger: Ledger, event: Event) -> None:
    ledger.authority[event.contract].set(event.position, event.args["authority"])


_HANDLERS: Mapping[tuple[str, str], Callable[[Ledger, Event], None]] = {
    ("AttentionCredit", "Transfer"): _transfer,
    ("AttentionCredit", "Approval"): _approval,
    ("CreditDistributor", "Claimed"): _claimed,
    ("MemberRegistry", "LinkRequested"): _link_requested,
    ("MemberRegistry", "LinkRejected"): _link_rejected,
    ("MemberRegistry", "LinkConfirmed"): _link_confirmed,
    ("CreditPayments", "Paid"): _paid,
    ("CreditPayments", "FeeSet"): _fee_set,
    ("FeePool", "FeesCollected"): _fees_collected,
    ("FeePool", "PotBurned"): _pot_burned,
    ("FeePool", "SplitSet"): _split_set,
    ("RateOracle", "EpochProposed"): _epoch_proposed,
    ("RateOracle", "EpochFinalised"): _epoch_finalised,
    ("RateOracle", "EpochVoided"): _epoch_voided,
    ("RateOracle", "BondWithdrawn"): _bond_withdrawn,
    ("RateOracle", "PolicySet"): _policy_set,
    ("RateOracle", "RateSet"): _rate_set,
    ("RateOracle", "QuorumSet"): _quorum_set,
    ("RateOracle", "BondSet"): _bond_set,
    ("RateOracle", "ChallengeWindowSet"): _window_set,
    ("RateOracle", "ProposalsPausedSet"): _paused_set,
    **{
        (contract, "AuthorityUpdated"): _authority_updated
        for contract in ("RateOracle", "FeePool", "CreditPayments", "MemberRegistry")
    },
}
