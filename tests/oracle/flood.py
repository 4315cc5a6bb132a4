"""A flood of requests for leaves, in real time: many names ask late in a short window, the daemon answers.

    python -m tests.oracle.flood [--anvil URL] [--names 64] [--each 4] [--window 120]

Each name asks for ``each`` leaves of an honest epoch, all in the last half of the window. The epoch must
become final, the bond must come back, and showing must cost less than asking.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from eth_utils import keccak
from hexbytes import HexBytes

from tests.chain_fixtures import start_anvil, stop
from tests.oracle.stage import QUORUM, THRESHOLD, Stage, set_stage, test_policy
from tests.world import SIGNERS, World, fund, plan
from timebank_chain.chain.challenge_reverts import RequestsClosed, WrongDeposit
from timebank_chain.chain.connection import connect
from timebank_chain.chain.deployment import deploy
from timebank_chain.chain.signer import LocalSigner
from timebank_chain.chain.system import open_timebank
from timebank_chain.epoch import EpochHeader, read_epoch
from timebank_chain.epoch.faults import TreeName
from timebank_chain.errors import TimebankError

ACTS = 600
EPOCH_SECONDS = 20
WEI = 10**18


@dataclass
class RealClock:
    """The time of day; anvil keeps it by itself."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def settle(url: str, folder: Path, window: int) -> Stage:
    """Deploy with a window in seconds, its usual time to answer, and a feed of many people's acts."""
    stage = set_stage(connect(url), folder)
    connection = stage.world.connection
    policy = replace(test_policy(), epoch_ms=EPOCH_SECONDS * 1_000)
    deployment = deploy(
        connection,
        SIGNERS["deployer"],
        plan(
            policy=policy,
            signers=tuple(sorted((SIGNERS[role].address for role in QUORUM), key=str.lower)),
            threshold=THRESHOLD,
            challenge_window=window,
            governance_delay=1,
            link_delay=1,
        ),
    )
    start_ms = connection.timestamp() * 1_000
    stage = Stage(
        World(connection, open_timebank(connection, deployment)),
        folder,
        start_ms,
        replace(stage.settings, policy=policy, first_epoch_start_ms=start_ms),
        policy,
    )
    for number in range(ACTS):
        stage.act(f"act {number}", f"person {number % 200}", 1 + number % (EPOCH_SECONDS - 2))
    return stage


def main() -> int:
    """Flood, and see whether the epoch lives."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--anvil", metavar="URL", help="use this node instead of one of its own")
    parser.add_argument("--names", type=int, default=64, help="how many ask")
    parser.add_argument("--each", type=int, default=4, help="how many leaves each asks for")
    parser.add_argument("--window", type=int, default=120, help="challenge window, seconds")
    given = parser.parse_args()
    process, url = (None, given.anvil) if given.anvil else start_anvil("--block-time", "1", "--mixed-mining")
    try:
        with tempfile.TemporaryDirectory(prefix="flood-") as folder:
            return flood(settle(url, Path(folder), given.window), url, given.names, given.each)
    finally:
        if process:
            stop(process)


def flood(stage: Stage, url: str, names: int, each: int) -> int:
    """Run daemon and flood beside each other; 0 if the epoch became final."""
    asking = stage.world
    signers = {f"name{one}": LocalSigner(keccak(text=f"flood {one}")) for one in range(names)}
    rich = World(asking.connection, asking.timebank, signers)
    fund_names(rich)
    ended = threading.Event()
    connection = connect(url)
    answering = replace(stage, world=World(connection, open_timebank(connection, asking.timebank.deployment)))

    def run() -> None:
        daemon = answering.daemon()  # here, since its journal stays with the thread that opened it
        daemon.clock = RealClock()
        while not ended.is_set():
            try:
                tick = daemon.tick()
            except TimebankError as error:  # as the loop does: a later tick may mend it
                sys.stderr.write(f"{error}\n")
                tick = None
            if tick is None or tick.idle:
                time.sleep(0.5)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        oracle = asking.timebank.rate_oracle
        while oracle.pending() is None:
            time.sleep(0.5)
        header = read_epoch(stage.epochs, 1).header
        pending = oracle.pending()
        assert pending is not None
        while time.time() < pending.challenge_ends_at - oracle.challenge_window() // 2:
            time.sleep(0.5)
        leaves: list[tuple[TreeName, int]] = [("activity", one) for one in range(header.activity_count)]
        leaves += [("account", one) for one in range(header.account_count)]
        wanted = iter(leaves)
        began, asked, gas, paid = time.monotonic(), 0, 0, 0
        for name in signers:
            for tree, index in islice(wanted, each):
                try:
                    price, used = ask(rich, name, header, tree, index)
                except RequestsClosed:
                    break
                asked, paid, gas = asked + 1, paid + price, gas + used
        took = time.monotonic() - began
        while oracle.pending() is not None:
            time.sleep(1)
    finally:
        ended.set()
        thread.join()
    shown = stage.answers()
    transactions = {one.at.transaction for one in shown}
    receipts = [
        asking.connection.w3.eth.get_transaction_receipt(HexBytes(one)) for one in sorted(transactions)
    ]
    spent = sum(one["gasUsed"] for one in receipts)
    final = oracle.latest_epoch() == 1
    sys.stdout.write(
        f"{asked} leaves asked for by {names} names in {took:.0f} s: {gas:,} gas, {paid / WEI:.4f} coins\n"
        f"{len(shown)} shown in {len(transactions)} transactions: {spent:,} gas, the coins for it\n"
        f"the epoch became {'final' if final else 'VOID'}\n"
    )
    return 0 if final and len(shown) == asked else 1


def ask(world: World, name: str, header: EpochHeader, tree: TreeName, index: int) -> tuple[int, int]:
    """Ask for one leaf; return price and gas. An answer in between changes the price: ask again."""
    while True:
        price = world.timebank.leaf_requests.request_price(world.address(name))
        try:
            return price, world.ask(name, header, tree, index).gas_used
        except WrongDeposit:
            continue


def fund_names(world: World) -> None:
    """Give every name some coin, as ``tests.world.fund`` gives the roles."""
    fund(world.connection)
    for signer in world.signers.values():
        world.connection.w3.provider.make_request(  # type: ignore[union-attr]  # anvil's own method, as in fund
            "anvil_setBalance",  # type: ignore[arg-type]  # not among web3's own names
            [signer.address, hex(50 * WEI)],
        )


if __name__ == "__main__":
    raise SystemExit(main())
