"""Proofs put to the deployed contract on the embedded chain, and to the specification: both say the same.

What is committed to, and where wanted what is pending, is written into the contracts' storage, so that
nothing has to be mined for each of a thousand calls.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from eth_abi.abi import decode
from eth_utils.crypto import keccak

from tests.challenge.spec_side import calldata
from tests.walk.chain_side import encoded_error, told
from tests.walk.evm import Evm
from timebank_chain.chain.contract import encode as encode_call
from timebank_chain.chain.system import Timebank
from timebank_chain.spec.epoch_challenge import PROOFS, Fault, commitment_of
from timebank_chain.spec.evidence import Tree
from timebank_chain.spec.rate_oracle import EpochHeader, hash_header
from timebank_chain.spec.revert import Reverted

FAULT_PROVED = keccak(text="FaultProved(uint32,bytes32,address,uint8,uint8,uint256)")
SALT = bytes(range(32))


class Court:
    """The deployed contracts while a proposal is pending, whose header is whatever is to be judged.

    Parameters
    ----------
    timebank
        On the embedded chain, with a proposal pending; nothing of the chain is changed.
    challenger
        Who sends the proofs.
    """

    def __init__(self, timebank: Timebank, challenger: str) -> None:
        self.evm = Evm(timebank.connection)
        self.evm.next_block()
        at = timebank.addresses()
        self.oracle, self.contract = str(at["RateOracle"]), str(at["EpochChallenge"])
        self.challenger = challenger.lower()
        self.bond = timebank.rate_oracle.bond_wei()
        proposal = timebank.rate_oracle.pending()
        assert proposal is not None, "nothing is proposed"
        pending = int.from_bytes(proposal.header_hash, "big")
        (self.pending_slot,) = (slot for slot in range(12) if self.evm.storage(self.oracle, slot) == pending)
        self.counts = Counter[str]()

    def commit(self, data: bytes, block: int) -> None:
        """Write a commitment to a call."""
        key = commitment_of(self.challenger, data) + bytes(32)
        self.evm.set_storage(self.contract, int.from_bytes(keccak(key), "big"), block)

    def judge(self, function: str, header: EpochHeader, *arguments: Any) -> bool:
        """Compare what both say of a proof of the pending header; return whether it is a fault."""
        expected: Fault | Reverted
        try:
            expected = PROOFS[function](header, *arguments)
        except Reverted as refusal:
            expected = refusal
        data = calldata(function, SALT, header, *arguments)
        with self.evm.undone():
            self.commit(data, self.evm.block - 1)
            self.evm.set_storage(self.oracle, self.pending_slot, int.from_bytes(hash_header(header), "big"))
            done = self.evm.call(self.challenger, self.contract, data)
            shown = f"{function}{arguments}, {header}: {told(done.returned)}, not {expected!r}"
            if isinstance(expected, Reverted):
                assert not done.succeeded, shown
                assert done.returned == encoded_error(expected), shown
            else:
                assert done.succeeded, shown
                assert self._proved(done.logs, header) == expected, shown
                assert self._withdrawable() == self.bond // 2
        name = expected.name if isinstance(expected, Reverted) else f"class {expected.fault_class}"
        self.counts[f"{function} {name}"] += 1
        return isinstance(expected, Fault)

    def _proved(self, logs: Any, header: EpochHeader) -> Fault:
        (log,) = (log for log in logs if log[1][0] == int.from_bytes(FAULT_PROVED, "big"))
        assert log[1][1:3] == (header.epoch, int.from_bytes(hash_header(header), "big"))
        fault_class, tree, index = decode(["uint8", "uint8", "uint256"], log[2])
        return Fault(fault_class, Tree(tree), index)

    def _withdrawable(self) -> int:
        view = encode_call("RateOracle", "withdrawableBond", self.challenger)
        return int.from_bytes(self.evm.call(self.challenger, self.oracle, view).returned, "big")
