"""The floating rate: what counts as spent was spent, and each move is the formula's over the events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from timebank_chain.audit.case import AuditCase
from timebank_chain.audit.evidence import Event
from timebank_chain.audit.report import Check, Tally
from timebank_chain.spec.rate_float import RateFloat, RateMove
from timebank_chain.units import format_micro


def _settled(args: Mapping[str, Any]) -> int | None:
    to_provider = int(args["toProvider"])
    return to_provider if to_provider + int(args["fee"]) else None


#: Contract through which members spend -> its event -> what reached the other side, in micro-credits;
#: ``None`` where nothing was spent.
SPENDING: Mapping[str, Mapping[str, Callable[[Mapping[str, Any]], int | None]]] = {
    "CreditPayments": {"Paid": lambda args: int(args["amount"]) - int(args["fee"])},
    "CreditExchange": {"TradeFilled": lambda args: int(args["credits"]) - int(args["fee"])},
    "ServiceEscrow": {"ServiceSettled": _settled},
}

_MOVE_FIELDS = {
    "demand": "demand",
    "supply": "supply",
    "excessBefore": "excess_before",
    "excess": "excess",
    "rateQ24": "rate_q24",
}


def check_rate(case: AuditCase) -> Check:
    """Check each move of the rate against demand and supply, and the demand against what was spent."""
    tally = Tally("A54", "the rate follows demand and supply: each move by its formula, all spending real")
    for difference in case.ledger.anomalies_of("rate"):
        tally.add(difference)
    _check_spending(case, tally)
    line = _Line(tally)
    for event in case.evidence.events:
        line.take(event)
    line.done()
    call = case.evidence.call
    silent = "it was changed without an event"
    tally.equal("FeePool.spent", line.spent, call("FeePool", "spent"), silent)
    tally.equal("RateOracle.rateQ24", line.rate, call("RateOracle", "rateQ24"), silent)
    shown, found = line.float.floating.as_of(line.rate), call("RateFloat", "floating")
    for name, value in (
        ("step", shown.step),
        ("baseRateQ24", shown.base_rate_q24),
        ("rateQ24", shown.rate_q24),
        ("excess", shown.excess),
        ("spentAtLast", shown.spent_at_last),
    ):
        tally.equal(f"RateFloat.floating, {name}", value, found[name], silent)
    tally.evidence.update(
        spent=line.spent,
        moves=line.moves,
        step=shown.step,
        base_rate_q24=shown.base_rate_q24,
        excess=shown.excess,
        rate_q24=line.rate,
    )
    floats = f"floats, step {format_micro(shown.step)}" if shown.step else "is fixed"
    return tally.done(f"{format_micro(line.spent)} spent, {line.moves} moves; the rate {floats}")


@dataclass
class _Line:
    """The rate through time, recomputed event by event."""

    tally: Tally
    spent: int = 0
    rate: int = 0
    moves: int = 0
    float: RateFloat = field(init=False)
    due: tuple[Event, RateMove] | None = None

    def __post_init__(self) -> None:
        self.float = RateFloat(lambda: self.spent)

    def take(self, event: Event) -> None:
        """Go on by one event."""
        match event.contract, event.name:
            case "FeePool", "FeesCollected" | "Spent":
                self.spent += int(event.args["amount"])
            case "RateOracle", "RateSet":
                self.done()
                self._same(
                    event, "previousRateQ24", self.rate, "the rate was changed before without an event"
                )
                self.rate = int(event.args["rateQ24"])
            case "RateFloat", "FloatSet":
                self.done()
                self._set(event)
            case "RateOracle", "EpochFinalised":
                self.done()
                move = self.float.follow(self.rate, int(event.args["totalMint"]))
                self.due = None if move is None else (event, move)
            case "RateFloat", "RateMoved":
                self._move(event)

    def done(self) -> None:
        """Record that the last epoch moved nothing although the rate floats."""
        if self.due is not None:
            event, move = self.due
            self.tally.fail(event.where, move, "no move", "the rate did not follow this epoch")
            self.due = None

    def _set(self, event: Event) -> None:
        self._same(event, "previousStep", self.float.floating.step, "the float was changed without an event")
        self._same(event, "baseRateQ24", self.rate, "it floats from another rate than the one that stood")
        self._same(event, "spent", self.spent, "more or less was counted than the events say was spent")
        self.float.set_float(self.rate, int(event.args["step"]))

    def _move(self, event: Event) -> None:
        self.moves += 1
        due, self.due = self.due, None
        told = RateMove(**{name: int(event.args[shown]) for shown, name in _MOVE_FIELDS.items()})
        if due is None or due[0].transaction != event.transaction:
            self.tally.fail(
                event.where, "no move", told, "the rate was moved without an epoch, or while fixed"
            )
        else:
            final, move = due
            self._same(
                event, "epoch", int(final.args["epoch"]), "it names another epoch than the one before it"
            )
            for shown, name in _MOVE_FIELDS.items():
                self._same(event, shown, getattr(move, name), "the move is not the formula's")
        # Go on from what the chain has, so that one wrong move is one finding.
        self.rate = told.rate_q24
        self.float.floating = replace(
            self.float.floating, rate_q24=told.rate_q24, excess=told.excess, spent_at_last=self.spent
        )

    def _same(self, event: Event, name: str, expected: object, meaning: str) -> None:
        self.tally.equal(f"{event.where}, {name}", expected, int(event.args[name]), meaning)


def _check_spending(case: AuditCase, tally: Tally) -> None:
    """Check that each ``Spent`` is what the spender's own events say, that none is missing, and who may."""
    evidence = case.evidence
    known = {evidence.address(contract): contract for contract in SPENDING}
    spenders = case.ledger.spenders or ()
    tally.equal(
        "FeePool, spenders",
        sorted(known),
        sorted(spenders),
        "spending through another contract counts, or through one of these does not",
    )
    for spender in sorted({*spenders, *known}):
        tally.equal(
            f"FeePool.isSpender({spender})",
            spender in spenders,
            evidence.call("FeePool", "isSpender", spender),
            "who may record spending was changed without an event",
        )
    expected: Counter[tuple[bytes, str, int]] = Counter()
    counted: Counter[tuple[bytes, str, int]] = Counter()
    for event in evidence.events:
        if event.contract == "FeePool" and event.name == "Spent":
            counted[event.transaction, event.args["spender"], int(event.args["amount"])] += 1
        told = SPENDING.get(event.contract, {}).get(event.name)
        received = None if told is None else told(event.args)
        if received is not None:
            expected[event.transaction, evidence.address(event.contract), received] += 1
    for key in sorted(set(expected) | set(counted)):
        transaction, spender, amount = key
        tally.equal(
            f"transaction 0x{transaction.hex()}, spent {amount} through {known.get(spender, spender)}",
            expected[key],
            counted[key],
            "what counts as spent is not what was paid",
        )
