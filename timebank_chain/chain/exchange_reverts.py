"""Every refusal of CreditExchange by its name, with the way out."""

from __future__ import annotations

from typing import Any

from timebank_chain.chain.revert import Revert


class TradingPaused(Revert):
    """The guardian has stopped filling."""

    SIGNATURE = "TradingPaused()"
    SENTENCE = "trading is paused"
    HINT = "wait for the governor to resume it; orders can be cancelled meanwhile"


class NoPrice(Revert):
    """An order gives something for something."""

    SIGNATURE = "NoPrice(uint256 credits, uint256 amount)"
    SENTENCE = "an order over {credits:credits} credits for {amount} units has no price"
    HINT = "both sides of an order are above zero"


class TokenIsCredit(Revert):
    """Credits are not exchanged for credits."""

    SIGNATURE = "TokenIsCredit(address token)"
    SENTENCE = "{token} is the credit itself"
    HINT = "name another token, or the chain's coin"


class CoinCannotBeSigned(Revert):
    """Nobody can take coin by a signature."""

    SIGNATURE = "CoinCannotBeSigned(address maker)"
    SENTENCE = "{maker} cannot buy credits with the chain's own coin by an order: nothing could fetch it"
    HINT = "buy with a wrapped coin (an ERC-20), or fill an order that sells credits for coin"


class TradeOrderExpired(Revert):
    """An order ends."""

    SIGNATURE = "TradeOrderExpired(uint256 expiresAt, uint256 current)"
    SENTENCE = "the order ended at {expiresAt:s}, it is {current:s}"
    HINT = "ask the maker for a new one"


class TradeSeriesIsOver(Revert):
    """The maker took all orders of a series back."""

    SIGNATURE = "TradeSeriesIsOver(uint256 series, uint256 current)"
    SENTENCE = "the order is of series {series}, the maker is at {current}"
    HINT = "ask the maker for a new one"


class TradeOrderIsCancelled(Revert):
    """The maker took the order back."""

    SIGNATURE = "TradeOrderIsCancelled(bytes32 orderHash)"
    SENTENCE = "order {orderHash} was cancelled"
    HINT = "ask the maker for a new one"


class NotTradeTaker(Revert):
    """An order may name who can fill it."""

    SIGNATURE = "NotTradeTaker(address taker, address caller)"
    SENTENCE = "the order is for {taker}, not for {caller}"


class MakerIsTaker(Revert):
    """Nobody trades with oneself."""

    SIGNATURE = "MakerIsTaker(address maker)"
    SENTENCE = "{maker} cannot fill an order of its own"
    HINT = "take it back instead: timebank market cancel"


class TradeFeeAboveOrder(Revert):
    """An order bounds the fee."""

    SIGNATURE = "TradeFeeAboveOrder(uint256 feeBps, uint256 maxFeeBps)"
    SENTENCE = "the fee is {feeBps} basis points, the order allows {maxFeeBps}"
    HINT = "ask the maker for a new order"


class TradeFeeAboveTerms(Revert):
    """A taker bounds the fee too."""

    SIGNATURE = "TradeFeeAboveTerms(uint256 feeBps, uint256 maxFeeBps)"
    SENTENCE = "the fee is {feeBps} basis points, you allow {maxFeeBps}"
    HINT = "allow more, or wait for a lower fee: timebank market quote"


class BadFill(Revert):
    """A part of an order is not nothing, and there is as much left as the taker wants at the least."""

    SIGNATURE = "BadFill(uint256 most, uint256 least, uint256 left)"
    SENTENCE = "only {left:credits} credits of the order are left, you want at least {least:credits}"
    HINT = "ask for what is left, or fill another order: timebank market book shows what is left of each"

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        if values["left"] == 0:
            self.message = "nothing is left of the order: all its credits were exchanged already"
            self.hint = "fill another order: timebank market book shows what is left of each"
        elif values["most"] == 0:
            self.message = "you ask for 0 credits of the order, which is no trade"
            self.hint = "ask for more than 0"
        self.args = (self.message,)


class BadOrderSignature(Revert):
    """An order is signed by its maker for this contract on this chain."""

    SIGNATURE = "BadOrderSignature(address maker, bytes32 orderHash)"
    SENTENCE = "the signature is not the one of {maker} over order {orderHash}"
    HINT = "the order was changed, or signed for another chain or deployment: ask the maker for a new one"


class NothingTraded(Revert):
    """Both sides of a fill are something."""

    SIGNATURE = "NothingTraded(uint256 credits, uint256 fee, uint256 amount)"
    SENTENCE = (
        "{credits:credits} credits are too few to trade: the fee takes {fee:credits} of them, and they come "
        "to {amount} units of the token, so that one side would get nothing"
    )
    HINT = "ask for more of the order"


class LimitNotMet(Revert):
    """A taker bounds what it pays or gets."""

    SIGNATURE = "LimitNotMet(uint256 amount, uint256 limit)"
    SENTENCE = "it moves {amount} units, your limit is {limit}"
    HINT = "another order, another limit: timebank market quote"


class WrongCoin(Revert):
    """The coin of a fill comes with the call; what is too much goes back, for a token none may come."""

    SIGNATURE = "WrongCoin(uint256 sent, uint256 expected)"
    SENTENCE = "{sent} wei were sent, the fill costs {expected}"


class CoinRefused(Revert):
    """A contract may not take coin."""

    SIGNATURE = "CoinRefused(address receiver, uint256 amount)"
    SENTENCE = "{receiver} does not take {amount} wei"
    HINT = "a contract that refuses coin cannot sell for it, nor send more of it than a fill costs"


class TokenNotMoved(Revert):
    """The token itself refused."""

    SIGNATURE = "TokenNotMoved(address token, address sender, address receiver, uint256 amount)"
    SENTENCE = "token {token} did not move {amount} units from {sender} to {receiver}"
    HINT = "does {sender} have that much, and has it approved the exchange for it?"


class TokenMovedOtherwise(Revert):
    """What arrives is what the order says."""

    SIGNATURE = "TokenMovedOtherwise(address token, uint256 arrived, uint256 amount)"
    SENTENCE = "of {amount} units of token {token} {arrived} arrived"
    HINT = "tokens that keep a part of each transfer cannot be traded here"


class NotOrderMaker(Revert):
    """Only the maker cancels an order."""

    SIGNATURE = "NotOrderMaker(address caller, address maker)"
    SENTENCE = "the order is {maker}'s, not {caller}'s"


class TradeFeeTooHigh(Revert):
    """The fee on trades is bounded."""

    SIGNATURE = "TradeFeeTooHigh(uint256 feeBps, uint256 maxBps)"
    SENTENCE = "a fee of {feeBps} basis points; at most {maxBps} are allowed"


class UnequalLengths(Revert):
    """One signature for each order."""

    SIGNATURE = "UnequalLengths(uint256 orders, uint256 signatures)"
    SENTENCE = "{orders} orders with {signatures} signatures"
