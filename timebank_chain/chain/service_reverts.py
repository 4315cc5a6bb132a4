"""Every refusal of ServiceEscrow by its name, with the way out."""

from __future__ import annotations

from typing import Any

from timebank_chain.chain.revert import Revert
from timebank_chain.spec.service_escrow import Stage

_SHOW = "see what can be done: timebank service show {orderId}"

#: A stage in words.
STAGE_WORDS = {
    Stage.NONE: "not there",
    Stage.ASKED_PROVIDER: "waiting for the provider's answer",
    Stage.ASKED_BUYER: "waiting for the buyer's answer",
    Stage.ACCEPTED: "accepted and not delivered yet",
    Stage.DELIVERED: "delivered and waiting for the buyer",
    Stage.CONTESTED: "contested by the buyer",
    Stage.DISPUTED: "before the arbiter",
    Stage.SETTLED: "settled",
    Stage.CANCELLED: "cancelled",
}


class OrderingPaused(Revert):
    """The guardian has stopped new orders."""

    SIGNATURE = "OrderingPaused()"
    SENTENCE = "placing, countering and accepting orders is paused by the guardian"
    HINT = "what is accepted goes on; cancelling works"


class BadPrice(Revert):
    """The fee eats the price."""

    SIGNATURE = "BadPrice(uint256 price, uint256 fee)"
    SENTENCE = "of a price of {price:credits} the fee is {fee:credits}: nothing would reach the provider"
    HINT = "ask for more"


class BadPeriod(Revert):
    """Nobody is given too little time, or too much."""

    SIGNATURE = "BadPeriod(uint256 period, uint256 min, uint256 max)"
    SENTENCE = "a time of {period} s, it must be {min} to {max} s"
    HINT = "choose 1h to 365d"


class BadArbiter(Revert):
    """Nobody rules on a quarrel of their own."""

    SIGNATURE = "BadArbiter(address arbiter)"
    SENTENCE = "{arbiter} cannot be the arbiter: it is nobody, or one of the two sides"
    HINT = "name a third member both sides trust: --arbiter"


class BadDefault(Revert):
    """A part is at most the whole."""

    SIGNATURE = "BadDefault(uint256 defaultBps)"
    SENTENCE = "a default part of {defaultBps} basis points is above the whole, 10000"
    HINT = "choose 0 to 10000: --default-bps"


class NoSuchListing(Revert):
    """There is no such listing."""

    SIGNATURE = "NoSuchListing(uint256 listingId)"
    SENTENCE = "there is no listing {listingId}"
    HINT = "see them: timebank service list"


class ListingExpired(Revert):
    """Orders can be placed for a time."""

    SIGNATURE = "ListingExpired(uint256 listingId, uint256 expiresAt, uint256 current)"
    SENTENCE = "listing {listingId} ended at {expiresAt:s}, it is {current:s}"
    HINT = "look for another: timebank service list"


class SoldOut(Revert):
    """Nothing is left."""

    SIGNATURE = "SoldOut(uint256 listingId)"
    SENTENCE = "nothing is left of listing {listingId}"
    HINT = "its owner can offer more: timebank service stock"


class NotListingOwner(Revert):
    """A listing is its owner's."""

    SIGNATURE = "NotListingOwner(uint256 listingId, address caller, address owner)"
    SENTENCE = "listing {listingId} is {owner}'s, not {caller}'s"


class OwnListing(Revert):
    """Nobody orders from themselves."""

    SIGNATURE = "OwnListing(uint256 listingId, address owner)"
    SENTENCE = "listing {listingId} is {owner}'s own"
    HINT = "order from somebody else: timebank service list"


class WrongStage(Revert):
    """What can be done depends on how far an order is."""

    SIGNATURE = "WrongStage(uint256 orderId, uint8 stage)"
    SENTENCE = "order {orderId} is {words}"
    HINT = _SHOW

    def __init__(self, values: dict[str, Any]) -> None:
        stage = values["stage"]
        words = STAGE_WORDS[Stage(stage)] if stage < len(Stage) else f"in stage {stage}"
        super().__init__({**values, "words": words})
        self.values = values
        if stage == Stage.NONE:
            # Showing what is not there would only say the same again.
            self.message = f"there is no order {values['orderId']}"
            self.args = (self.message,)
            self.hint = "see yours: timebank service orders"


class NotYours(Revert):
    """Each step is one side's."""

    SIGNATURE = "NotYours(uint256 orderId, address caller)"
    SENTENCE = "{caller} is not the one to do this with order {orderId}"
    HINT = _SHOW


class TooLate(Revert):
    """A deadline has passed."""

    SIGNATURE = "TooLate(uint256 orderId, uint256 deadline, uint256 current)"
    SENTENCE = "the time for this ended at {deadline:s}, it is {current:s}"
    HINT = "anybody can move it on: timebank service move {orderId}"


class NotOverdue(Revert):
    """Nothing moves by time before its time."""

    SIGNATURE = "NotOverdue(uint256 orderId, uint256 deadline, uint256 current)"
    SENTENCE = "order {orderId} has time until {deadline:s}, it is {current:s}"
    HINT = _SHOW


class WrongRevision(Revert):
    """A proposal is accepted by its number."""

    SIGNATURE = "WrongRevision(uint256 orderId, uint256 revision, uint256 current)"
    SENTENCE = "proposal {revision} of order {orderId} was meant, but {current} stands now"
    HINT = _SHOW


class BadPart(Revert):
    """A part lies within the price."""

    SIGNATURE = "BadPart(uint256 part, uint256 price)"
    SENTENCE = "{part:credits} is no part of a price of {price:credits}"
    HINT = "name at most {price:credits}"

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        if values["part"] == values["price"]:
            # An arbiter may name it all, so it was the buyer: there is a shorter way to that.
            self.hint = "to pay it all: timebank service approve; to pay a part, name less"


class BadStars(Revert):
    """Stars go from 1 to 5."""

    SIGNATURE = "BadStars(uint256 stars)"
    SENTENCE = "{stars} stars cannot be given"
    HINT = "give 1 to 5"


class AlreadyRated(Revert):
    """Each side rates once."""

    SIGNATURE = "AlreadyRated(uint256 orderId, address caller)"
    SENTENCE = "{caller} has rated order {orderId} already"


class ServiceFeeTooHigh(Revert):
    """The fee is bounded."""

    SIGNATURE = "ServiceFeeTooHigh(uint256 feeBps, uint256 maxBps)"
    SENTENCE = "a fee of {feeBps} basis points, at most {maxBps} are allowed"
