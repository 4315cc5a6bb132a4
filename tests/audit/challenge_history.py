"""A history of challenges: proposals voided by proof or for withheld leaves, and one that stood up to it.

1. epoch 1 is proposed with a wrong value in it; a watcher commits, proves it, and takes its share
2. epoch 1, honest, is proposed, but nobody shows the leaves asked for: it is voided, and one of two
   deposits is given back
3. epoch 1, the same header again: leaves are asked for and shown, the last account among them; it is
   finalised
4. epoch 2 is proposed and pending: one leaf was shown, another one is asked for; somebody has committed
   to a proof that never comes
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.audit.history import History, build, the_activity, the_members, the_policy
from tests.world import World, deploy_world
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.inquiries import open_requests
from timebank_chain.epoch import PublishedEpoch, evidence_of, find_faults, publish, read_epoch
from timebank_chain.epoch.corrupt import corrupt_epoch, write_corruption
from timebank_chain.epoch.faults import TreeName
from timebank_chain.oracle.answer import answer_call


def make_challenge_history(connection: Connection, folder: Path) -> History:
    """Live through the whole history on a fresh chain."""
    policy = the_policy()
    world = deploy_world(connection, policy=policy, link_delay=600)
    history = History(
        world, folder, folder / "epochs", folder / "deployment.json", folder / "activity.parquet", policy
    )
    history.deployment.write_text(json.dumps(world.timebank.deployment.to_json()))
    table, members = the_activity(), the_members(world)
    first = publish(build(history, table, members, None), history.epochs)
    _prove_wrong(history, first)
    _withhold(world, first)
    world.propose(first.header)
    _ask_and_show(world, first, "activity", 3)
    _ask_and_show(world, first, "account", len(first.accounts) - 1)
    world.finalise(first.header)
    second = publish(build(history, table, members, first), history.epochs)
    world.propose(second.header)
    _ask_and_show(world, second, "account", 0)
    world.ask("payee", second.header, "activity", 5)
    world.send("member1", world.timebank.epoch_challenge.commit(b"\x05" * 32))
    return history


def _prove_wrong(history: History, honest: PublishedEpoch) -> None:
    world = history.world
    corrupted = write_corruption(
        corrupt_epoch(honest, None, history.policy, fault_class=1), history.epochs, history.folder / "wrong"
    )
    wrong = read_epoch(corrupted.parent, 1)
    world.propose(wrong.header)
    fault = find_faults(wrong, None, history.policy)[0]
    world.prove("stranger", evidence_of(fault, wrong, None, history.policy))
    world.send("stranger", world.timebank.rate_oracle.withdraw_bond(world.address("stranger")))


def _withhold(world: World, epoch: PublishedEpoch) -> None:
    requests = world.timebank.leaf_requests
    world.propose(epoch.header)
    pending = world.timebank.rate_oracle.pending()
    assert pending is not None
    world.ask("member1", epoch.header, "activity", 3)
    world.ask("member2", epoch.header, "account", 1)
    world.connection.advance_time(requests.answer_time() + 1)
    world.send("payee", requests.void_unanswered(epoch.header, "activity", 3))
    world.send(
        "payee", requests.reclaim_deposit(pending.header_hash, pending.challenge_ends_at, "account", 1)
    )


def _ask_and_show(world: World, epoch: PublishedEpoch, tree: TreeName, index: int) -> None:
    world.ask("member3", epoch.header, tree, index)
    pending = world.timebank.rate_oracle.pending()
    assert pending is not None
    (request,) = open_requests(world.timebank, pending, world.connection.block_number())
    world.send("proposer", answer_call(world.timebank, epoch, request))
