"""ERC-20 tokens of somebody else: what credits are exchanged for. Amounts are their smallest units.

Nothing is known of such a contract but its address: an answer that is missing or odd is said to be so, and a
name it gives itself proves nothing.
"""

from __future__ import annotations

from typing import Any, ClassVar

from eth_abi.abi import decode as abi_decode
from eth_abi.exceptions import DecodingError
from hexbytes import HexBytes
from web3.types import BlockIdentifier

from timebank_chain.chain.contract import ContractClient, encode
from timebank_chain.chain.node_errors import translated
from timebank_chain.chain.transactions import Call
from timebank_chain.errors import ChainError, ContractError, TradeOrderError, TransactionFailed

#: Decimals of the chain's own coin, and the most a token can sensibly have.
COIN_DECIMALS = 18
MAX_DECIMALS = 77

_SYMBOL_LENGTH = 16


class ForeignToken(ContractClient):
    """A token by its address."""

    #: Its functions are looked up in our own ERC-20's ABI.
    NAME: ClassVar[str] = "AttentionCredit"
    #: What its calls are called.
    SHOWN: ClassVar[str] = "ERC20"

    def decimals(self, *, block: BlockIdentifier = "latest") -> int | None:
        """Return how many decimals it shows; ``None`` when it does not say."""
        answer = self._ask("decimals", (), ["uint8"], block)
        return answer if isinstance(answer, int) and answer <= MAX_DECIMALS else None

    def symbol(self, *, block: BlockIdentifier = "latest") -> str | None:
        """Return the name it gives itself, if it is short and printable."""
        answer = self._ask("symbol", (), ["string"], block)
        sound = isinstance(answer, str) and answer.isprintable() and 0 < len(answer) <= _SYMBOL_LENGTH
        return answer if sound else None

    def balance_of(self, holder: str, *, block: BlockIdentifier = "latest") -> int:
        """Return a balance; 0 when it does not say."""
        return int(self._ask("balanceOf", (holder,), ["uint256"], block) or 0)

    def allowance(self, owner: str, spender: str, *, block: BlockIdentifier = "latest") -> int:
        """Return what ``spender`` may move of ``owner``'s; 0 when it does not say."""
        return int(self._ask("allowance", (owner, spender), ["uint256"], block) or 0)

    def approve(self, spender: str, amount: int) -> Call:
        """Propose letting ``spender`` take up to ``amount`` units."""
        arguments = {"spender": spender, "amount": amount}
        data = encode(self.NAME, "approve", spender, amount)
        return Call(self.SHOWN, "approve", self.address, data, arguments)

    def approvals(self, owner: str, spender: str, amount: int, *, block: BlockIdentifier) -> list[Call]:
        """Propose what is missing for ``spender`` to take ``amount`` units.

        Some tokens change an allowance only from or to zero, so one that is too small is ended first.
        """
        allowed = self.allowance(owner, spender, block=block)
        if allowed >= amount:
            return []
        return [self.approve(spender, each) for each in ([0, amount] if allowed else [amount])]

    def _ask(
        self, function: str, arguments: tuple[object, ...], types: list[str], block: BlockIdentifier
    ) -> Any:
        data = HexBytes(encode(self.NAME, function, *arguments))
        try:
            with translated():
                raw = self.connection.w3.eth.call({"to": self.address, "data": data}, block)
            return abi_decode(types, bytes(raw))[0]
        except (ContractError, TransactionFailed, DecodingError, UnicodeDecodeError):
            return None


def require_token(token: ForeignToken) -> None:
    """Refuse an address where no contract stands.

    Raises
    ------
    ChainError
        Naming it.
    """
    if not token.connection.code_at(token.address):
        raise ChainError(
            f"there is no contract at {token.address}, so no token", hint="check the address and --rpc-url"
        )


def token_fault(
    token: ForeignToken, holder: str, *, block: BlockIdentifier = "latest"
) -> TradeOrderError | None:
    """Say why an address is no ERC-20, as far as asking tells: ``None`` where it answers like one.

    Whether it moves anything is known only when it does.
    """
    if not token.connection.code_at(token.address):
        return TradeOrderError(
            f"there is no contract at {token.address}, so no token",
            hint="look at the address again: an order for it cannot be filled",
        )
    for function, arguments in (("balanceOf", (holder,)), ("allowance", (holder, holder))):
        if token._ask(function, arguments, ["uint256"], block) is None:
            return TradeOrderError(
                f"{token.address} is no ERC-20: it does not answer {function}",
                hint="look at the address again: an order for it cannot be filled",
            )
    return None
