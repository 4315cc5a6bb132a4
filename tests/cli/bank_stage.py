"""A bank on a real anvil as a person at a terminal meets it: wallets, a manifest, published epochs.

The stage is set once; before every test its chain is rolled back, with its clock, and its folder copied.
Nothing here knows a time: whatever happens is counted from the chain's own clock.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.chain_fixtures import own_anvil, snapshot
from tests.published import EPOCH_MS, finalise, identity, propose, publish_next
from tests.world import SIGNERS, World, deploy_world
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.keystore import KeystoreWallets
from timebank_chain.cli import main
from timebank_chain.config import (
    ENV_DEPLOYMENT,
    ENV_EPOCHS,
    ENV_FROM,
    ENV_KEYSTORE,
    ENV_KEYSTORES,
    ENV_PASSWORD,
    ENV_RPC_URL,
)
from timebank_chain.epoch import PublishedEpoch

QUORUM = [SIGNERS[f"signer{n}"] for n in range(1, 4)]
#: Outside ids of the epochs' members; ``bob`` has no wallet and earns under a placeholder.
MEMBERS = {"ada": "member1", "cyd": "member2", "dan": "member3"}
NOBODY = "bob"


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.out))

    @property
    def error(self) -> dict[str, Any]:
        return dict(self.document["error"])


def run(*arguments: object) -> Ran:
    """Run a command as its entry point does; standard input is no terminal."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["timebank", *map(str, arguments)])
        patch.setattr(sys, "stdin", io.StringIO(""))
        with pytest.raises(SystemExit) as ended:
            main.run()
    return Ran(int(ended.value.code or 0), out.getvalue(), err.getvalue())


@dataclass
class Stage:
    """A deployed bank, the person's folder, and when its first epoch started (Unix milliseconds)."""

    folder: Path
    world: World
    origin_ms: int

    def done(self, role: str, *arguments: object) -> dict[str, Any]:
        """Run a command as ``role`` that must succeed, and return its document."""
        ran = run(*arguments, "--from", self.world.address(role), "--yes", "--json")
        assert ran.code == 0, ran.out + ran.err
        return ran.document

    def refused(self, role: str, *arguments: object, code: int = 1) -> str:
        """Run a command as ``role`` that must fail without sending anything, and return the error's name."""
        before = self.world.connection.block_number()
        ran = run(*arguments, "--from", self.world.address(role), "--yes", "--json")
        assert ran.code == code, ran.out + ran.err
        assert self.world.connection.block_number() == before, "something was sent"
        return str(ran.error["code"])

    def told(self, *arguments: object) -> dict[str, Any]:
        """Run a command that only reads, and return its document."""
        ran = run(*arguments, "--json")
        assert ran.code == 0, ran.out + ran.err
        return ran.document

    def balance(self, role: str) -> int:
        return self.world.timebank.attention_credit.balance_of(self.world.address(role))

    def next_epoch(self) -> PublishedEpoch:
        """Publish and finalise the next epoch; everybody of MEMBERS and ``bob`` earns."""
        timebank = self.world.timebank
        published = publish_next(
            timebank,
            self.folder / "epochs",
            [*MEMBERS, NOBODY],
            {member: self.world.address(role) for member, role in MEMBERS.items()},
            origin_ms=self.origin_ms,
        )
        propose(timebank, published, QUORUM)
        finalise(timebank, published, SIGNERS["stranger"])
        return published

    def govern(self, *arguments: object) -> dict[str, Any]:
        """Schedule a change, let the delay pass, execute it."""
        assert self.done("governor", *arguments)["state"] == "scheduled"
        self.world.connection.advance_time(601)
        document = self.done("governor", *arguments)
        assert document["state"] == "done"
        return document


def _set_up(folder: Path, connection: Connection) -> Stage:
    """Make wallets, deploy a bank, run one epoch and let its members claim all of it."""
    wallets = KeystoreWallets(folder / "wallets", scrypt_n=2)
    for role in ("governor", "guardian", "registrar", "canceller", "stranger", "payee", *MEMBERS.values()):
        wallets.import_key(SIGNERS[role]._account.key, "the password")
    (folder / "password").write_text("the password\n")
    world = deploy_world(connection, policy=identity(), governance_delay=600)
    (folder / "deployment.json").write_text(json.dumps(world.timebank.deployment.to_json()))
    stage = Stage(folder, world, connection.pending_timestamp() * 1_000 - 2 * EPOCH_MS)
    stage.next_epoch()
    with pytest.MonkeyPatch.context() as patch:
        _enter(stage, patch)
        for role in MEMBERS.values():
            stage.done(role, "wallet", "claim")
    return stage


def _enter(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """Let commands find the stage as a person's shell would."""
    for name in (ENV_FROM, ENV_KEYSTORE):
        patch.delenv(name, raising=False)
    for name, value in (
        (ENV_RPC_URL, stage.world.connection.url),
        (ENV_KEYSTORES, stage.folder / "wallets"),
        (ENV_PASSWORD, stage.folder / "password"),
        (ENV_DEPLOYMENT, stage.folder / "deployment.json"),
        (ENV_EPOCHS, stage.folder / "epochs"),
    ):
        patch.setenv(name, str(value))


@pytest.fixture(scope="session")
def set_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, Callable[[], None]]]:
    """The stage as it is set, and what goes back to it, the chain's clock with it."""
    with own_anvil() as connection:
        made = _set_up(tmp_path_factory.mktemp("bank-stage"), connection)
        state, began = snapshot(connection), connection.timestamp()

        def back() -> None:
            state()
            # Rolling back leaves a clock that a test moved on where it is.
            answer = connection.w3.provider.make_request("evm_setTime", [began + 1])  # type: ignore[arg-type, union-attr]  # a node of our own
            assert "error" not in answer

        yield made, back


@pytest.fixture
def stage(
    set_stage: tuple[Stage, Callable[[], None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Stage:
    """A bank with one final epoch, all of it claimed by its members."""
    made, back = set_stage
    back()
    shutil.copytree(made.folder, tmp_path, dirs_exist_ok=True)
    stage = replace(made, folder=tmp_path)
    _enter(stage, monkeypatch)
    return stage
