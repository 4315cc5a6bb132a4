"""How much gas a transaction needs on the embedded chain: found in two runs, not in a dozen.

py-evm halves the range between a transaction's intrinsic gas and a block's limit until 21,000 are left, which
is ten runs of the transaction or more, each in Python: most of what a deployment on the embedded chain took.
Here one run says what it uses; a second one, with little more, shows that this is enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from eth.abc import ComputationAPI, SignedTransactionAPI, StateAPI

#: A call hands on at most 63/64 of the gas that is left, so what is used is not always enough. A sixteenth
#: more carries calls nested three deep that each end in the next.
_SPARE = 16


def needed_gas(state: StateAPI, transaction: SignedTransactionAPI) -> int:
    """Return a gas limit a transaction succeeds with, at most a sixteenth above what it uses.

    Where the second run fails (a contract that asks how much gas is left, calls nested deep), py-evm's own
    search answers.

    Raises
    ------
    VMError
        If the transaction fails with all the gas of a block.
    """
    from eth.estimators.gas import binary_gas_search_intrinsic_tolerance

    if not transaction.data:
        # A plain transfer, mostly: a sender who can pay that may not be able to pay for a whole block's gas.
        plain = _run(state, transaction, transaction.intrinsic_gas)
        if not plain.is_error:
            return int(transaction.intrinsic_gas)
    first = _run(state, transaction, state.gas_limit)
    if first.is_error:
        raise first.error
    used = first.get_gas_used()
    enough = min(transaction.intrinsic_gas + used + used // _SPARE, state.gas_limit)
    if not _run(state, transaction, enough).is_error:
        return enough
    return int(binary_gas_search_intrinsic_tolerance(state, transaction))


def _run(state: StateAPI, transaction: SignedTransactionAPI, gas: int) -> ComputationAPI:
    """Run a transaction and take back what it did."""
    from eth.vm.spoof import SpoofTransaction

    before = state.snapshot()
    try:
        spoofed = SpoofTransaction(transaction, gas=gas, gas_price=0)
        # py-evm hands such a copy over by a cast, too: it has all that is asked of it.
        return state.apply_transaction(cast("SignedTransactionAPI", spoofed))
    finally:
        state.revert(before)
