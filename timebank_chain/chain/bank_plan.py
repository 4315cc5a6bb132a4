"""The bank's policy: which deposits there are, what they cost and earn, how lending and leasing are bounded.

It is deployed with the system and changed by governance later. The document (``timebank examples bank.json``)
names every field; an unknown, missing or contradictory one is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from timebank_chain.documents import parse_json, read_small_text
from timebank_chain.errors import DeploymentError

BANK_SCHEMA = "timebank.bank/1"
DAY = 86_400
YEAR = 31_536_000
WAD = 10**18
ONE_BPS = 10_000
MAX_TERMS = 16
MAX_MULTIPLIER_MILLI = 10_000
MAX_PENALTY_BPS = 2_000
MAX_INCOME_FEE_BPS = 2_000
MAX_LENDING_FEE_BPS = 2_500
MAX_RELEASE_SECONDS = 90 * DAY
MIN_LIQUIDATION_LTV_BPS = 5_000
MAX_INCENTIVE_BPS = 1_000
MAX_UNSECURED_CAP_BPS = 5_000
MIN_STANDING_TERM = DAY
MAX_STANDING_TERM = 730 * DAY
MAX_GRACE = 365 * DAY
MAX_LEASE_FEE_BPS = 2_000


@dataclass(frozen=True)
class TermPlan:
    """A kind of deposit: seconds (0: demand), weight in thousandths, penalty in basis points."""

    duration: int
    multiplier_milli: int
    penalty_bps: int

    def check(self, where: str) -> None:
        """Refuse what ``TimeBank.addTerm`` would refuse."""
        if not 0 <= self.duration < 1 << 32:
            raise DeploymentError(f"{where}: a duration of {self.duration} s")
        if not 0 < self.multiplier_milli <= MAX_MULTIPLIER_MILLI:
            raise DeploymentError(
                f"{where}: a multiplier of {self.multiplier_milli}", hint=f"1 to {MAX_MULTIPLIER_MILLI}"
            )
        if not 0 <= self.penalty_bps <= MAX_PENALTY_BPS or (self.duration == 0 and self.penalty_bps):
            raise DeploymentError(
                f"{where}: a penalty of {self.penalty_bps} basis points",
                hint=f"0 to {MAX_PENALTY_BPS}, and 0 for a demand deposit",
            )


@dataclass(frozen=True)
class RiskPlan:
    """Bounds of the lending pool (``RiskSettings``): basis points, seconds, micro-credits."""

    max_ltv_bps: int = 9_000
    liquidation_ltv_bps: int = 9_500
    incentive_bps: int = 200
    standing_bps: int = 5_000
    unsecured_cap_bps: int = 2_000
    fee_bps: int = 1_000
    standing_term: int = 30 * DAY
    grace: int = 7 * DAY
    min_loan: int = 10_000

    def as_call(self) -> tuple[int, ...]:
        """Return the struct in the order of its fields."""
        return tuple(getattr(self, field.name) for field in fields(self))

    def check(self) -> None:
        """Refuse what the contract would refuse."""
        for field in fields(self):
            if not 0 <= getattr(self, field.name) < 1 << 63:
                raise DeploymentError(f"risk.{field.name} is {getattr(self, field.name)}")
        if not 0 < self.max_ltv_bps < self.liquidation_ltv_bps:
            raise DeploymentError(
                f"borrowing up to {self.max_ltv_bps}, liquidation from {self.liquidation_ltv_bps} bps",
                hint="risk.max_ltv_bps lies below risk.liquidation_ltv_bps",
            )
        if self.liquidation_ltv_bps + self.incentive_bps > ONE_BPS:
            raise DeploymentError(
                "liquidation threshold and incentive together exceed the pledge",
                hint="risk.liquidation_ltv_bps + risk.incentive_bps is at most 10000",
            )
        if self.liquidation_ltv_bps < MIN_LIQUIDATION_LTV_BPS:
            raise DeploymentError(
                f"risk.liquidation_ltv_bps is {self.liquidation_ltv_bps}",
                hint=f"at least {MIN_LIQUIDATION_LTV_BPS} basis points",
            )
        if self.incentive_bps > MAX_INCENTIVE_BPS:
            raise DeploymentError(
                f"risk.incentive_bps is {self.incentive_bps}",
                hint=f"at most {MAX_INCENTIVE_BPS} basis points",
            )
        for name, most in (
            ("standing_bps", ONE_BPS),
            ("unsecured_cap_bps", MAX_UNSECURED_CAP_BPS),
            ("fee_bps", MAX_LENDING_FEE_BPS),
        ):
            if getattr(self, name) > most:
                raise DeploymentError(
                    f"risk.{name} is {getattr(self, name)}", hint=f"at most {most} basis points"
                )
        if not MIN_STANDING_TERM <= self.standing_term <= MAX_STANDING_TERM:
            raise DeploymentError(
                f"risk.standing_term is {self.standing_term}", hint="1 day to 730 days, in seconds"
            )
        if self.grace > MAX_GRACE:
            raise DeploymentError(f"risk.grace is {self.grace}", hint="at most 365 days, in seconds")


#: Demand, day, week and month.
STANDARD_TERMS = (
    TermPlan(0, 1_000, 0),
    TermPlan(DAY, 1_100, 50),
    TermPlan(7 * DAY, 1_500, 100),
    TermPlan(30 * DAY, 2_500, 200),
)


@dataclass(frozen=True)
class BankPlan:
    """Parameters of TimeBank, CreditLending and CreditLease.

    Attributes
    ----------
    terms
        Kinds of deposit by number; the first is the demand deposit others lapse to.
    income_fee_bps, lease_fee_bps
        Fees on depositors' income and on rent, basis points.
    release_seconds
        Seconds after which half of the income that is pending has been released.
    risk
        Bounds of the lending pool.
    initial_rate_bps
        Interest a year at the target utilisation when the pool opens, basis points.
    """

    terms: tuple[TermPlan, ...] = STANDARD_TERMS
    income_fee_bps: int = 500
    release_seconds: int = 7 * DAY
    risk: RiskPlan = RiskPlan()
    initial_rate_bps: int = 400
    lease_fee_bps: int = 200

    @property
    def initial_rate_per_second(self) -> int:
        """Interest per second at target, scaled by 1e18, rounded down."""
        return self.initial_rate_bps * WAD // (ONE_BPS * YEAR)

    def check(self) -> None:
        """Refuse a plan the contracts would refuse.

        Raises
        ------
        DeploymentError
            Naming the field.
        """
        if not 1 <= len(self.terms) <= MAX_TERMS:
            raise DeploymentError(f"{len(self.terms)} terms", hint=f"1 to {MAX_TERMS}")
        if self.terms[0].duration:
            raise DeploymentError("the first term is no demand deposit", hint="terms[0].duration is 0")
        for number, term in enumerate(self.terms):
            term.check(f"terms[{number}]")
        if not 0 <= self.income_fee_bps <= MAX_INCOME_FEE_BPS:
            raise DeploymentError(
                f"income_fee_bps is {self.income_fee_bps}", hint=f"0 to {MAX_INCOME_FEE_BPS}"
            )
        if not 0 <= self.lease_fee_bps <= MAX_LEASE_FEE_BPS:
            raise DeploymentError(f"lease_fee_bps is {self.lease_fee_bps}", hint=f"0 to {MAX_LEASE_FEE_BPS}")
        if not 1 <= self.release_seconds <= MAX_RELEASE_SECONDS:
            raise DeploymentError(f"release_seconds is {self.release_seconds}", hint="1 s to 90 days")
        if not 10 <= self.initial_rate_bps <= 20_000:
            raise DeploymentError(
                f"initial_rate_bps is {self.initial_rate_bps}", hint="10 to 20000 (0.1 % to 200 % a year)"
            )
        self.risk.check()

    def to_json(self) -> dict[str, Any]:
        """Return the document."""
        return {"schema": BANK_SCHEMA, **asdict(self), "terms": [asdict(term) for term in self.terms]}

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, where: str) -> Self:
        """Read the document.

        Raises
        ------
        DeploymentError
            If a field is unknown, missing or not an integer.
        """
        body = dict(document)
        schema = body.pop("schema", None)
        if schema != BANK_SCHEMA:
            raise DeploymentError(f"the schema is {schema!r}, not {BANK_SCHEMA!r}", where=where)
        terms, risk = body.pop("terms", None), body.pop("risk", None)
        if not isinstance(terms, list):
            raise DeploymentError("terms is missing or no list", where=where)
        plan = _integers(cls, body, "", where, given={"terms", "risk"})
        return cls(
            terms=tuple(
                TermPlan(**_integers(TermPlan, term, f"terms[{number}].", where))
                for number, term in enumerate(terms)
            ),
            risk=RiskPlan(**_integers(RiskPlan, risk, "risk.", where)),
            **plan,
        )


def load_bank_plan(path: Path) -> BankPlan:
    """Read a bank's policy from a file and check it."""
    try:
        document = parse_json(read_small_text(path))
    except (OSError, ValueError) as error:
        raise DeploymentError(
            f"cannot read the bank's policy: {error}",
            where=str(path),
            hint="start from the shipped one: timebank examples bank.json",
        ) from error
    if not isinstance(document, dict):
        raise DeploymentError("the bank's policy is no JSON object", where=str(path))
    plan = BankPlan.from_json(document, where=str(path))
    plan.check()
    return plan


def _integers(
    kind: type, found: object, prefix: str, where: str, given: frozenset[str] | set[str] = frozenset()
) -> dict[str, int]:
    if not isinstance(found, dict):
        raise DeploymentError(f"{prefix.rstrip('.') or 'the document'} is missing or no object", where=where)
    wanted = {field.name for field in fields(kind)} - given
    unknown, missing = sorted(set(found) - wanted), sorted(wanted - set(found))
    if unknown or missing:
        wrong = [f"{prefix}{name} is unknown" for name in unknown]
        wrong += [f"{prefix}{name} is missing" for name in missing]
        raise DeploymentError(
            "; ".join(wrong), where=where, hint="`timebank examples bank.json` names every field"
        )
    for name, value in found.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise DeploymentError(f"{prefix}{name} is {value!r}, not a whole number", where=where)
    return dict(found)


#: What is deployed when nobody says otherwise.
STANDARD_BANK = BankPlan()
