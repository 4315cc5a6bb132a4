"""What the examples with two people share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.world import World
from timebank_chain.chain.keystore import KeystoreWallets


@pytest.fixture
def keystores(world: World, tmp_path: Path) -> dict[str, list[str]]:
    """What each role writes behind a command: manifest, keystore, password; each has ten credits."""
    (tmp_path / "deployment.json").write_text(json.dumps(world.timebank.deployment.to_json()))
    (tmp_path / "password").write_text("the password\n")
    wallets = KeystoreWallets(tmp_path / "keys", scrypt_n=2)
    shared = ["--deployment", str(tmp_path / "deployment.json")]
    shared += ["--password-file", str(tmp_path / "password")]
    found = {}
    for role in ("member1", "member2"):
        world.give(role, 10_000_000)
        path = wallets.import_key(world.signers[role]._account.key, "the password").path
        found[role] = [*shared, "--keystore", str(path)]
    return found
