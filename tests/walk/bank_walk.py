"""A random walk through the whole bank, contract and specification side by side.

Eight members with contract wallets deposit, hand over, pledge, borrow, repay, supply, lease, claim, donate
and default as chance has it, with good arguments and bad. For every step the specification says beforehand
what the contract must return or revert with, to the byte; after every block the books agree, and every so
often all state does. At the end everybody takes out what is theirs.

::

    .venv/bin/python -m tests.walk.bank_walk --steps 100000 --seed 1     # on a node of its own
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

from tests.chain_fixtures import start_anvil, stop
from tests.walk.bank_leaving import everybody_out
from tests.walk.bank_members import Members
from tests.walk.bank_sides import DAY, POLICY, Planned
from tests.walk.bank_steps import draw_step
from tests.walk.chain_side import Step
from timebank_chain.valuation import policy_head_call

#: Steps between two epochs, and blocks between two comparisons of all state.
EPOCH_EVERY, LOOK_EVERY = 1_000, 40
#: How long a block is after the one before, seconds: mostly moments, now and then a month or a year.
PAUSES = (1, 1, 1, 12, 12, 60, 3_600, DAY, DAY, 7 * DAY)
LONG_PAUSES = (30 * DAY, 365 * DAY)


class Walk(Members):
    """One walk: both sides, started, and led through as many steps as one likes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._prepare()

    def _prepare(self) -> None:
        """Allowances, a first epoch, its claims."""
        self.allow_everything()
        self.run_epoch()
        self.block([self.claim(account) for account in self.accounts], 1)
        accept = Step(0, "CreditLending", "acceptPolicy", (policy_head_call(POLICY),))
        self.block([Planned(accept, (policy_head_call(POLICY),))], 1)

    def run(self, steps: int, progress: Callable[[int], None] = lambda _: None) -> None:
        """Take so many steps, then let everybody out."""
        taken = blocks = 0
        next_epoch, next_look = EPOCH_EVERY, LOOK_EVERY
        while taken < steps:
            size = min(self.draw.choice([1, 10, 40, 60, 80]), steps - taken)
            # A step is drawn from the state before its block: by its turn it may be out of date, which is
            # one more way to be wrong.
            planned = [draw_step(self) for _ in range(size)]
            long = self.draw.random() < 0.01
            self.block(planned, self.draw.choice(LONG_PAUSES if long else PAUSES))
            taken += size
            blocks += 1
            if long:
                self._sweep()
            if taken >= next_epoch:
                next_epoch += EPOCH_EVERY
                self.run_epoch()
            if blocks >= next_look:
                next_look += LOOK_EVERY
                self.compare_all()
                progress(taken)
        self.compare_all()
        everybody_out(self)

    def _sweep(self) -> None:
        """After a long silence somebody looks after every debt: what no longer stands is ended."""
        pledged = [one for one, owner in self.bank.owners.items() if owner == self.lending.address]
        sweep = [self.plan(0, "CreditLending", "liquidate", receipt) for receipt in pledged]
        sweep += [self.plan(0, "CreditLending", "writeOff", member) for member in self.members]
        self.block(sweep, 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Walk and say what happened how often."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    process, url = start_anvil(*ANVIL)
    began = time.monotonic()
    try:
        walk = Walk(url, options.seed)

        def progress(taken: int) -> None:
            print(f"{taken:,} steps, {time.monotonic() - began:.0f} s", file=sys.stderr)

        walk.run(options.steps, progress)
    finally:
        stop(process)
    for name, count in sorted(walk.counts.items()):
        print(f"{count:>8,}  {name}")
    print(f"{sum(walk.counts.values()):,} steps agreed to the unit")
    return 0


#: Everything the walk does; the test asks that each succeeded and, but for the last, was refused somewhere.
FUNCTIONS = (
    *(f"TimeBank.{name}" for name in (
        "deposit", "withdraw", "exitEarly", "close", "collectIncome", "rollOver", "lapse", "approve",
        "transferFrom",
    )),
    *(f"CreditLending.{name}" for name in (
        "deposit", "mint", "withdraw", "redeem", "pledge", "borrow", "pledgeAndBorrow", "repay", "release",
        "liquidate", "borrowOnStanding", "repayStanding", "writeOff",
    )),
    *(f"CreditLease.{name}" for name in ("take", "takeOnStanding", "repay", "settle", "forgive", "cancel")),
    *(f"CreditDistributor.{name}" for name in ("claim", "setStandingOrder", "endStandingOrder")),
    "AttentionCredit.transfer",
)  # fmt: skip
NEVER_REFUSED = (
    "TimeBank.collect", "TimeBank.setApprovalForAll", "CreditLending.accrue", "CreditLending.payFees",
    "CreditLease.cancelAll", "CreditDistributor.claimMany", "FeePool.sync", "AttentionCredit.approve",
)  # fmt: skip

#: Blocks as large as a walk likes.
ANVIL = ("--timestamp", "1900000000", "--gas-limit", str(10**11), "--no-request-size-limit")

if __name__ == "__main__":
    raise SystemExit(main())
