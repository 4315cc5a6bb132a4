"""The teaching scripts, as a reader runs them, one after the other.

::

    on one embedded chain: deploy -> (an epoch) -> claim -> transfer -> pay -> deposit -> lend -> borrow
        -> repay; every balance to the integer
    on anvil: the same with a keystore
    a second claim -> NothingToClaim
    a node without a keystore -> usage error
    the gas table runs and both claims are below the others'
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.chain_fixtures import REPOSITORY
from tests.published import finalise, propose, publish_next
from tests.world import SIGNERS
from timebank_chain.chain import Connection, LocalSigner, connect, load_deployment, open_timebank
from timebank_chain.chain.keystore import KeystoreWallets
from timebank_chain.chain.reverts import NothingToClaim
from timebank_chain.chain.system import Timebank
from timebank_chain.units import mul_div_up

PAYEE = SIGNERS["payee"].address


def load(path: str) -> ModuleType:
    file = REPOSITORY / "scripts" / path
    spec = importlib.util.spec_from_file_location(f"example_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def walk(connection: Connection, signer: LocalSigner, folder: Path, keys: list[str]) -> None:
    manifest, epochs = folder / "deployment.json", folder / "epochs"
    where = ["--deployment", str(manifest), *keys]
    load("examples/deploy.py").main(where, connection)
    timebank = open_timebank(connection, load_deployment(manifest))
    published = publish_next(timebank, epochs, ["me", "somebody"], {"me": signer.address})
    propose(timebank, published, [signer])
    finalise(timebank, published, signer)

    claim = load("examples/claim.py")
    claim.main([*where, "--epochs", str(epochs)], connection)
    credit = timebank.attention_credit
    minted = credit.balance_of(signer.address)
    assert minted == credit.total_supply() > 2_000_000
    with pytest.raises(NothingToClaim):
        claim.main([*where, "--epochs", str(epochs)], connection)

    load("examples/transfer.py").main([PAYEE, "0.25", *where], connection)
    assert credit.balance_of(PAYEE) == 250_000

    load("examples/pay.py").main([PAYEE, "1.000001", "--memo", "a lesson", *where], connection)
    fee = mul_div_up(1_000_001, timebank.credit_payments.fee_bps(), 10_000)
    assert credit.balance_of(PAYEE) == 250_000 + 1_000_001 - fee
    assert credit.balance_of(signer.address) == minted - 250_000 - 1_000_001
    assert timebank.fee_pool.accounts().total == fee == credit.balance_of(timebank.fee_pool.address)
    bank_walk(timebank, connection, signer, where)


def bank_walk(timebank: Timebank, connection: Connection, signer: LocalSigner, where: list[str]) -> None:
    """Deposit, lend, borrow against the deposit's receipt, repay: interest is all that is gone in the end."""
    credit, bank, lending = timebank.attention_credit, timebank.time_bank, timebank.credit_lending
    before = credit.balance_of(signer.address)
    load("examples/deposit.py").main(["4", "--term", "week", *where], connection)
    assert (bank.position(1).principal, bank.owner_of(1)) == (4_000_000, signer.address)
    load("examples/lend.py").main(["3.5", *where], connection)
    assert lending.accrued_books().cash == 3_500_000
    assert credit.balance_of(signer.address) == before - 7_500_000

    borrow = load("examples/borrow.py")
    with pytest.raises(SystemExit) as refused:
        borrow.main(["3.9", "--receipt", "1", *where], connection)
    assert refused.value.code == 1
    assert credit.balance_of(signer.address) == before - 7_500_000
    borrow.main(["3", "--receipt", "1", *where], connection)
    assert credit.balance_of(signer.address) == before - 4_500_000
    assert (bank.owner_of(1), lending.pledged_loan(1).borrower) == (lending.address, signer.address)

    connection.advance_time(30 * 86_400)
    owed = lending.debt_of(1)
    load("examples/repay.py").main(["--receipt", "1", *where], connection)
    paid = before - 4_500_000 - credit.balance_of(signer.address)
    assert owed <= paid <= owed + 10
    assert (bank.owner_of(1), lending.books().debt_shares) == (signer.address, 0)


def test_on_one_embedded_chain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    connection = connect()
    walk(connection, LocalSigner(connection.development_keys()[0]), tmp_path, [])
    said = capsys.readouterr().out
    assert "RateOracle" in said
    assert f"-> {PAYEE}: 0.250000" in said
    assert "the fee is 0.005001" in said
    assert "week: weight 1.5, early exit 1 %" in said
    assert "the pool would refuse" not in said
    assert "principal and interest" in said


@pytest.mark.anvil
def test_on_a_node_with_a_keystore(anvil: Connection, tmp_path: Path) -> None:
    signer = SIGNERS["deployer"]
    wallet = KeystoreWallets(tmp_path / "keys", scrypt_n=2).import_key(signer._account.key, "the password")
    password = tmp_path / "password"
    password.write_text("the password\n")
    keys = ["--rpc-url", anvil.url, "--keystore", str(wallet.path), "--password-file", str(password)]
    walk(anvil, signer, tmp_path, keys)


@pytest.mark.anvil
@pytest.mark.parametrize(
    "name", ["deploy", "claim", "transfer", "pay", "deposit", "lend", "borrow", "repay", "trade"]
)
def test_a_node_needs_a_keystore(
    anvil_world: object, anvil_url: str, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "deployment.json"
    # `object` says that nothing but the deployment is used of it.
    manifest.write_text(json.dumps(anvil_world.timebank.deployment.to_json()))  # type: ignore[attr-defined]
    arguments = {
        "claim": ["--epochs", str(tmp_path)],
        "transfer": [PAYEE, "1"],
        "pay": [PAYEE, "1"],
        "deposit": ["1"],
        "lend": ["1"],
        "borrow": ["1", "--receipt", "1"],
        "repay": ["--receipt", "1"],
        "trade": ["sell", "1"],
    }
    with pytest.raises(SystemExit) as caught:
        load(f"examples/{name}.py").main(
            [*arguments.get(name, []), "--rpc-url", anvil_url, "--deployment", str(manifest)]
        )
    assert caught.value.code == 2
    assert "--keystore" in capsys.readouterr().err


def test_gas_table_is_measured_and_both_claims_are_below_the_others() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/bench_gas.py", "--json"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    rows = {row["operation"]: row for row in json.loads(done.stdout)["rows"]}
    for name in ("first claim, 20-deep", "later claim, 20-deep"):
        assert rows[name]["gas"] < rows[name]["beside"]["Morpho"] < rows[name]["beside"]["EigenLayer"]
    assert rows["transfer"]["gas"] - rows["transfer"]["beside"]["plain transfer"] < 500
