"""The state that follows from the events alone: balances, claims, links, fees, parameters, epochs.

Pure: takes decoded events in the order of the chain, gives a ``Ledger``. Whatever the contracts could
never have emitted (a second link, a burn of credits nobody had, an epoch finalised that was never
proposed) is kept as an anomaly, under the name of the group of checks that reports it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, TypeVar

from timebank_chain.audit.evidence import Event
from timebank_chain.audit.report import Difference
from timebank_chain.spec.rate_float import Floating

ZERO_ADDRESS = "0x" + "0" * 40

#: Contracts that can be paused, and the event by which they are, and by which a pause ends.
PAUSED_SET: Mapping[str, str] = {
    "RateOracle": "ProposalsPausedSet",
    "CreditLending": "BorrowingPausedSet",
    "CreditLease": "LeasingPausedSet",
    "CreditExchange": "TradingPausedSet",
    "ServiceEscrow": "OrderingPausedSet",
}

#: Contracts that ask the access manager who may govern them.
GOVERNED = (
    "RateOracle",
    "RateFloat",
    "FeePool",
    "CreditPayments",
    "MemberRegistry",
    "TimeBank",
    "CreditLending",
    "CreditLease",
    "CreditExchange",
    "ServiceEscrow",
)

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
    routes
        Position of a claim -> the ``ClaimRouted`` that followed it.
    rooms, payees, challenge
        The bank's contracts as the distributor and the fee pool were told, and who voids by proof and what
        moves the rate as the oracle was: view -> address.
    spent, spenders
        What the fee pool has counted as spent, and through whom (``None`` before it is set).
    floating, moves
        How the rate floats as its events leave it, and each move.
    links
        Placeholder -> its latest link request.
    fees, bonus_before
        The fee pool's accounts, and the bonus pot just before each position it changed at.
    registered
        Policy hash -> the event that published the policy.
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
    routes: dict[Position, Event] = field(default_factory=dict)
    rooms: dict[str, str] = field(default_factory=dict)
    payees: dict[str, str] = field(default_factory=dict)
    challenge: dict[str, str] = field(default_factory=dict)
    spent: int = 0
    spenders: tuple[str, ...] | None = None
    floating: Floating = field(default_factory=Floating)
    moves: list[Event] = field(default_factory=list)
    links: dict[str, Link] = field(default_factory=dict)
    link_history: dict[str, Timeline[str]] = field(default_factory=lambda: defaultdict(Timeline))
    payments: list[Event] = field(default_factory=list)
    fee_bps: Timeline[int] = field(default_factory=Timeline)
    fees: FeeAccounts = field(default_factory=FeeAccounts)
    split: Timeline[tuple[int, int]] = field(default_factory=Timeline)
    bonus: Timeline[int] = field(default_factory=Timeline)
    pots_burned: list[Event] = field(default_factory=list)
    registered: dict[bytes, Event] = field(default_factory=dict)
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


def _claim_routed(ledger: Ledger, event: Event) -> None:
    claim = ledger.claims[-1] if ledger.claims else None
    if (
        claim is None
        or claim.event.position in ledger.routes
        or (claim.event.transaction, claim.account) != (event.transaction, event.args["account"])
    ):
        _anomaly(
            ledger,
            "claims",
            event,
            f"a claim of {event.args['account']} just before",
            "none" if claim is None else f"a claim of {claim.account}",
            "something was routed that nobody claimed",
        )
        return
    ledger.routes[claim.event.position] = event


def _rooms_set(ledger: Ledger, event: Event) -> None:
    if ledger.rooms:
        _anomaly(
            ledger, "wiring", event, ledger.rooms, event.args, "the distributor's rooms are set for ever"
        )
    ledger.rooms = {view: event.args[view] for view in ("timeBank", "lending", "lease")}


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
    ledger.spent += args["amount"]
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


def _depositors_paid(ledger: Ledger, event: Event) -> None:
    amount = int(event.args["amount"])
    if amount != ledger.fees.depositors:
        _anomaly(
            ledger,
            "fees",
            event,
            f"the depositors' account whole, {ledger.fees.depositors}",
            amount,
            "depositors were paid another sum than was collected for them",
        )
    ledger.fees.depositors -= amount


def _loss_covered(ledger: Ledger, event: Event) -> None:
    loss, paid = int(event.args["loss"]), int(event.args["paid"])
    covered = min(loss, ledger.fees.reserve)
    if paid != covered:
        _anomaly(
            ledger,
            "fees",
            event,
            f"{covered} of a loss of {loss}",
            paid,
            "the reserve pays a loss as far as it goes, and no more",
        )
    ledger.fees.reserve -= paid


def _reserve_restored(ledger: Ledger, event: Event) -> None:
    ledger.fees.reserve += int(event.args["amount"])


def _payees_set(ledger: Ledger, event: Event) -> None:
    if ledger.payees:
        _anomaly(ledger, "wiring", event, ledger.payees, event.args, "the pool's payees are set for ever")
    ledger.payees = {view: event.args[view] for view in ("timeBank", "lending")}


def _spenders_set(ledger: Ledger, event: Event) -> None:
    if ledger.spenders is not None:
        _anomaly(
            ledger, "rate", event, ledger.spenders, event.args, "through whom members spend is set for ever"
        )
    ledger.spenders = tuple(event.args["spenders"])


def _spent(ledger: Ledger, event: Event) -> None:
    ledger.spent += int(event.args["amount"])


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


def _policy_registered(ledger: Ledger, event: Event) -> None:
    known = ledger.registered.setdefault(event.args["policyHash"], event)
    if known is not event:
        _anomaly(
            ledger,
            "policies",
            event,
            f"0x{event.args['policyHash'].hex()} registered once, in {known.where}",
            "registered again",
            "a policy is published once",
        )


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


def pauses_of(events: Iterable[Event], contract: str) -> list[tuple[Event, int]]:
    """Return the events that begin and end pauses of a contract, each with the pause's number as counted."""
    found, number = [], 0
    for event in events:
        if event.contract == contract and event.name == PAUSED_SET.get(contract):
            number += bool(event.args["paused"])
            found.append((event, number))
    return found


def _paused_set(ledger: Ledger, event: Event) -> None:
    ledger.paused.set(event.position, bool(event.args["paused"]))


def _challenge_set(ledger: Ledger, event: Event) -> None:
    if "challenge" in ledger.challenge:
        _anomaly(ledger, "wiring", event, ledger.challenge, event.args, "who voids by proof is set for ever")
    ledger.challenge |= {view: event.args[view] for view in ("challenge", "leafRequests")}


def _rate_float_set(ledger: Ledger, event: Event) -> None:
    if "rateFloat" in ledger.challenge:
        _anomaly(ledger, "wiring", event, ledger.challenge, event.args, "what moves the rate is set for ever")
    ledger.challenge["rateFloat"] = event.args["rateFloat"]


def _float_set(ledger: Ledger, event: Event) -> None:
    step, rate, spent = (int(event.args[name]) for name in ("step", "baseRateQ24", "spent"))
    ledger.floating = Floating(step, rate, rate, 0, spent)


def _rate_moved(ledger: Ledger, event: Event) -> None:
    rate, before = int(event.args["rateQ24"]), ledger.floating.as_of(ledger.rate.last or 0)
    ledger.moves.append(event)
    ledger.rate.set(event.position, rate)
    ledger.floating = replace(
        before,
        rate_q24=rate,
        excess=int(event.args["excess"]),
        spent_at_last=before.spent_at_last + int(event.args["demand"]),
    )


def _authority_updated(ledger: Ledger, event: Event) -> None:
    ledger.authority[event.contract].set(event.position, event.args["authority"])


_HANDLERS: Mapping[tuple[str, str], Callable[[Ledger, Event], None]] = {
    ("AttentionCredit", "Transfer"): _transfer,
    ("AttentionCredit", "Approval"): _approval,
    ("CreditDistributor", "Claimed"): _claimed,
    ("CreditDistributor", "ClaimRouted"): _claim_routed,
    ("CreditDistributor", "RoomsSet"): _rooms_set,
    ("MemberRegistry", "LinkRequested"): _link_requested,
    ("MemberRegistry", "LinkRejected"): _link_rejected,
    ("MemberRegistry", "LinkConfirmed"): _link_confirmed,
    ("CreditPayments", "Paid"): _paid,
    ("CreditPayments", "FeeSet"): _fee_set,
    ("FeePool", "FeesCollected"): _fees_collected,
    ("FeePool", "PotBurned"): _pot_burned,
    ("FeePool", "DepositorsPaid"): _depositors_paid,
    ("FeePool", "LossCovered"): _loss_covered,
    ("FeePool", "ReserveRestored"): _reserve_restored,
    ("FeePool", "PayeesSet"): _payees_set,
    ("FeePool", "SpendersSet"): _spenders_set,
    ("FeePool", "Spent"): _spent,
    ("FeePool", "SplitSet"): _split_set,
    ("PolicyRegistry", "PolicyRegistered"): _policy_registered,
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
    ("RateOracle", "ChallengeSet"): _challenge_set,
    ("RateOracle", "RateFloatSet"): _rate_float_set,
    ("RateFloat", "FloatSet"): _float_set,
    ("RateFloat", "RateMoved"): _rate_moved,
    **{(contract, "AuthorityUpdated"): _authority_updated for contract in GOVERNED},
}
