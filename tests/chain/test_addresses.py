"""Addresses as people write them, and the names the package offers.

::

    parse_address: checksummed -> itself; lower, upper or wrong case -> the right spelling as the way out;
    no address -> refused; every other single change of case is refused
    parse_account: as parse_address, but all letters of one case will do
    the package: every offered name exists, the list is pinned, none loads web3 before it is used
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import timebank_chain.chain as package
from timebank_chain.chain.addresses import address_bytes, address_text, parse_account, parse_address
from timebank_chain.errors import UsageError

KNOWN = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


@given(st.binary(min_size=20, max_size=20))
def test_checksummed_address_reads_as_itself(raw: bytes) -> None:
    text = address_text(raw)
    assert parse_address(text) == text
    assert address_bytes(text) == raw


@pytest.mark.parametrize("text", [KNOWN.lower(), "0x" + KNOWN[2:].upper()])
def test_no_checksum_names_the_right_spelling(text: str) -> None:
    with pytest.raises(UsageError, match="no checksum") as caught:
        parse_address(text, what="--to")
    assert KNOWN in (caught.value.hint or "")
    assert "--to" in str(caught.value)


@given(st.binary(min_size=20, max_size=20))
def test_an_account_needs_no_checksum(raw: bytes) -> None:
    text = address_text(raw)
    for spelling in (text, text.lower(), "0x" + text[2:].upper(), f" {text} "):
        assert parse_account(spelling) == text


@pytest.mark.parametrize("position", [n for n in range(2, 42) if KNOWN[n].isalpha()])
def test_one_letter_of_the_wrong_case_is_refused(position: int) -> None:
    text = KNOWN[:position] + KNOWN[position].swapcase() + KNOWN[position + 1 :]
    for parse in (parse_address, parse_account):
        with pytest.raises(UsageError, match="wrong checksum"):
            parse(text)


@pytest.mark.parametrize(
    "text", ["", "0x", "vitalik.eth", KNOWN[2:], KNOWN + "0", KNOWN[:-1], "0x" + "g" * 40]
)
def test_no_address_is_refused(text: str) -> None:
    for parse in (parse_address, parse_account):
        with pytest.raises(UsageError, match="not an address"):
            parse(text)


def test_address_of_digits_only_needs_no_case() -> None:
    assert parse_address("0x" + "12" * 20) == "0x" + "12" * 20


def test_offered_names_are_pinned_and_exist() -> None:
    assert package.__all__ == [
        "EMBEDDED",
        "Call",
        "Connection",
        "DeployedContract",
        "Deployment",
        "DeploymentPlan",
        "FeeSplit",
        "GovernanceState",
        "GovernanceStep",
        "KeystoreWallets",
        "LocalSigner",
        "Prepared",
        "Receipt",
        "SignedTransaction",
        "Signer",
        "Timebank",
        "Wallet",
        "address_bytes",
        "address_text",
        "connect",
        "deploy",
        "ensure_trusted",
        "load_deployment",
        "open_timebank",
        "parse_address",
        "prepare",
        "send",
        "unlock",
    ]
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = package.nonsense


@pytest.mark.parametrize("noun", ["chain", "wallet"])
def test_help_does_not_load_web3(noun: str) -> None:
    """web3 takes a second to load; help answers without it."""
    program = (
        "import sys; sys.argv = ['timebank', sys.argv[1], '--help']\n"
        "from timebank_chain.cli.main import run\n"
        "try: run()\n"
        "except SystemExit as end: sys.exit(end.code or ('web3' in sys.modules and 9))"
    )
    done = subprocess.run([sys.executable, "-c", program, noun], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
