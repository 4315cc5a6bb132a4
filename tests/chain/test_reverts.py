"""Named refusals.

::

    every custom error of the shipped ABIs has an exception with the same signature, and no more
    every sentence and hint can be filled in
    decode
    |- values by name, addresses checksummed
    |- Error(string), Panic, unknown selector, cut-off data
    on both chains
    |- a refusal is raised by its name when simulated, nothing is sent
    `- no funds, used nonce, no contract, another contract: each its own exception
"""

from __future__ import annotations

import pickle

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from tests.world import SIGNERS, World
from timebank_chain.artifacts import artifact_names, load_artifact
from timebank_chain.chain import reverts as catalogue
from timebank_chain.chain.attention_credit import AttentionCredit
from timebank_chain.chain.bank_reverts import NotBorrower
from timebank_chain.chain.connection import Connection
from timebank_chain.chain.events import canonical_type
from timebank_chain.chain.node_errors import InsufficientFunds, NonceTaken, NotADeployment
from timebank_chain.chain.openzeppelin_reverts import (
    AccessManagedUnauthorized,
    ERC20InsufficientAllowance,
    ERC20InsufficientBalance,
    ERC20InvalidReceiver,
)
from timebank_chain.chain.revert import Revert
from timebank_chain.chain.reverts import (
    NothingPending,
    NothingToClaim,
    Panicked,
    PayeeIsPayer,
    PolicyMismatch,
    RequireFailed,
    UnknownRevert,
    decode,
    parameters,
    reverts,
    selector_of,
)
from timebank_chain.chain.signer import LocalSigner
from timebank_chain.chain.time_bank import TimeBank
from timebank_chain.chain.transactions import Call, send
from timebank_chain.errors import ContractError, TransactionFailed

#: Declared a second time with other names of its values, where EpochChallenge means a part of a policy.
ALSO: dict[type[Revert], str] = {PolicyMismatch: "PolicyMismatch(bytes32 given, bytes32 expected)"}
SAMPLES = {"address": "0x" + "11" * 20, "string": "text"}


def sample(kind: str) -> object:
    if kind.startswith("bytes"):
        return b"\x22" * int(kind[5:])
    return SAMPLES.get(kind, 7)


def declared() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name in artifact_names():
        for entry in load_artifact(name).abi:
            if entry["type"] == "error":
                inputs = ", ".join(f"{canonical_type(one)} {one['name']}" for one in entry["inputs"])
                found.setdefault(f"{entry['name']}({inputs})", set()).add(name)
    return found


def test_every_custom_error_has_its_exception_and_no_more() -> None:
    assert {kind.SIGNATURE for kind in reverts()} | set(ALSO.values()) == set(declared())


@pytest.mark.parametrize("kind", ALSO, ids=lambda kind: kind.__name__)
def test_other_names_of_the_same_error_have_its_selector(kind: type[Revert]) -> None:
    inside = ALSO[kind].removeprefix(f"{kind.__name__}(").removesuffix(")")
    types = ",".join(part.split()[0] for part in inside.split(", "))
    assert keccak(text=f"{kind.__name__}({types})")[:4] == selector_of(kind)


def test_class_and_signature_agree() -> None:
    for kind in reverts():
        assert kind.SIGNATURE.startswith(f"{kind.__name__}(")
        assert issubclass(kind, ContractError)
        assert kind.__doc__


def test_selectors_are_distinct() -> None:
    kinds = list(reverts())
    assert len({selector_of(kind) for kind in kinds}) == len(kinds)


@pytest.mark.parametrize("kind", list(reverts()), ids=lambda kind: kind.__name__)
def test_every_refusal_decodes_to_a_full_sentence(kind: type[Revert]) -> None:
    names, types = parameters(kind)
    error = decode(selector_of(kind) + encode(types, [sample(one) for one in types]))
    assert type(error) is kind
    assert list(error.values) == names
    assert "{" not in error.message
    assert "{" not in (error.hint or "")
    assert pickle.loads(pickle.dumps(error)).message == error.message  # noqa: S301 - our own bytes; xdist pickles


def test_values_come_by_name() -> None:
    account = SIGNERS["member1"].address
    error = decode(selector_of(NothingToClaim) + encode(["address", "uint256"], [account, 5_000_000]))
    assert isinstance(error, NothingToClaim)
    assert error.values == {"account": account, "claimed": 5_000_000}
    assert f"nothing to claim for {account}: all 5.000000 credits" in error.message


def test_a_borrower_of_zeros_is_said_in_words() -> None:
    values = {"receiptId": 7, "caller": SIGNERS["member1"].address, "borrower": "0x" + "00" * 20}
    error = NotBorrower(values)
    assert error.message == str(error) == "receipt 7 is not pledged to the pool"
    assert "was pledged by" in NotBorrower(values | {"borrower": SIGNERS["member2"].address}).message


def test_reason_panic_and_unknown() -> None:
    assert isinstance(decode(keccak(text="Error(string)")[:4] + encode(["string"], ["four"])), RequireFailed)
    panic = decode(keccak(text="Panic(uint256)")[:4] + encode(["uint256"], [0x11]))
    assert isinstance(panic, Panicked)
    assert "0x11" in panic.message
    unknown = decode(b"\xde\xad\xbe\xef\x01")
    assert isinstance(unknown, UnknownRevert)
    assert "0xdeadbeef01" in unknown.message


def test_cut_off_data_is_unknown_not_a_crash() -> None:
    whole = selector_of(NothingToClaim) + encode(["address", "uint256"], ["0x" + "11" * 20, 1])
    for length in range(len(whole)):
        assert isinstance(decode(whole[:length]), UnknownRevert), length


def test_catalogue_covers_all_modules() -> None:
    modules = {kind.__module__ for kind in reverts()}
    assert modules == {
        catalogue.__name__,
        "timebank_chain.chain.bank_reverts",
        "timebank_chain.chain.challenge_reverts",
        "timebank_chain.chain.exchange_reverts",
        "timebank_chain.chain.float_reverts",
        "timebank_chain.chain.openzeppelin_reverts",
        "timebank_chain.chain.policy_reverts",
        "timebank_chain.chain.service_reverts",
    }


class TestOnChain:
    def test_refusals_come_by_name_and_send_nothing(self, world: World) -> None:
        timebank = world.timebank
        before = world.connection.block_number()
        payee = world.address("payee")
        with pytest.raises(ERC20InsufficientBalance) as caught:
            world.send("stranger", timebank.attention_credit.transfer(payee, 5))
        assert caught.value.values == {"sender": world.address("stranger"), "balance": 0, "needed": 5}
        with pytest.raises(ERC20InvalidReceiver):
            world.send("stranger", timebank.attention_credit.transfer("0x" + "00" * 20, 0))
        with pytest.raises(ERC20InsufficientAllowance):
            world.send("stranger", timebank.credit_payments.pay(payee, 5))
        with pytest.raises(PayeeIsPayer):
            world.send("payee", timebank.credit_payments.pay(payee, 5))
        with pytest.raises(AccessManagedUnauthorized, match=world.address("stranger")):
            world.send("stranger", timebank.rate_oracle.set_rate(1))
        with pytest.raises(NothingPending):
            epoch = world.make_epoch({payee: 1})
            world.send("stranger", timebank.rate_oracle.finalise(epoch.header))
        assert world.connection.block_number() == before

    def test_empty_revert_is_a_plain_failure(self, world: World) -> None:
        target = world.timebank.attention_credit.address
        with pytest.raises(TransactionFailed, match="without a reason"):
            world.send("stranger", Call("AttentionCredit", "nonsense", target, b"\x12\x34\x56\x78"))

    def test_value_to_a_function_that_takes_none(self, world: World) -> None:
        call = world.timebank.fee_pool.sync()
        paid = Call(call.contract, call.function, call.target, call.data, value=1)
        with pytest.raises(TransactionFailed, match="without a reason"):
            world.send("stranger", paid)

    def test_no_funds(self, chain: Connection) -> None:
        poor = LocalSigner(keccak(text="nobody ever sent this key anything"))
        with pytest.raises(InsufficientFunds):
            send(chain, poor, Call("coin", "transfer", SIGNERS["payee"].address, b"", value=1))

    def test_more_than_the_sender_has(self, chain: Connection) -> None:
        call = Call("coin", "transfer", SIGNERS["payee"].address, b"", value=10**24)
        with pytest.raises(InsufficientFunds):
            send(chain, SIGNERS["stranger"], call)

    def test_used_nonce(self, chain: Connection) -> None:
        call = Call("coin", "transfer", SIGNERS["payee"].address, b"", value=1)
        send(chain, SIGNERS["stranger"], call)
        with pytest.raises(NonceTaken):
            send(chain, SIGNERS["stranger"], call, nonce=0)

    def test_reading_where_no_contract_is(self, chain: Connection) -> None:
        with pytest.raises(NotADeployment):
            AttentionCredit(chain, SIGNERS["payee"].address).total_supply()


def test_reading_from_another_contract_of_ours(world: World) -> None:
    swapped = TimeBank(world.connection, world.timebank.credit_lending.address)
    with pytest.raises(NotADeployment, match="does not answer termCount as TimeBank does"):
        swapped.terms()
