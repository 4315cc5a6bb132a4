"""Every refusal of EpochChallenge and LeafRequests by its name, with the way out."""

from __future__ import annotations

from timebank_chain.chain.revert import Revert

_FAULT_CLASSES = "timebank_chain.epoch.faults says which rule each class is"

# ---------------------------------------------------------------- both


class HeaderNotPending(Revert):
    """Only the proposal that is pending can be challenged."""

    SIGNATURE = "HeaderNotPending(bytes32 headerHash, bytes32 pendingHash)"
    SENTENCE = "header {headerHash} is not the proposed one, that is {pendingHash} (zeros: none is)"
    HINT = "see timebank chain status: the epoch may be final or void by now"


class NotInTree(Revert):
    """Leaves are shown with their way up to the root."""

    SIGNATURE = "NotInTree(uint8 tree, uint256 index, uint256 count)"
    SENTENCE = "the leaf shown as {tree:tree} {index} of {count} is not there under the header's root"
    HINT = "take leaf and siblings from the files that the header's roots commit to"


class NotNeighbours(Revert):
    """A rule is about one leaf, or about a leaf and the one before it."""

    SIGNATURE = "NotNeighbours(uint8 tree, uint256 leaves, uint256 index)"
    SENTENCE = "{leaves} leaves of the {tree:tree} tree at {index} are not those the rule is about"
    HINT = "show the leaf and the one before it, the first leaf alone, or one leaf where one is asked"


class NothingSaidOf(Revert):
    """Absence is proved by the neighbours around it."""

    SIGNATURE = "NothingSaidOf(address account)"
    SENTENCE = "the leaves shown neither are {account}'s nor prove that it has none"
    HINT = "show its leaf, the two leaves around it, or the first or last leaf beside it"


# ---------------------------------------------------------------- EpochChallenge


class NotAFault(Revert):
    """What was shown is as it should be."""

    SIGNATURE = "NotAFault(uint8 faultClass)"
    SENTENCE = "what was shown is no fault of class {faultClass}"
    HINT = _FAULT_CLASSES


class NotCommitted(Revert):
    """A proof is committed to before it is shown."""

    SIGNATURE = "NotCommitted(bytes32 commitment)"
    SENTENCE = "the sender did not commit to this very call ({commitment})"
    HINT = "commit first, from the same account, and send the proof unchanged in a later block"


class CommittedInThisBlock(Revert):
    """A commitment counts from the next block on."""

    SIGNATURE = "CommittedInThisBlock(bytes32 commitment, uint256 blockNumber)"
    SENTENCE = "the commitment {commitment} was made in this very block, {blockNumber}"
    HINT = "send the proof once another block is made"


class AlreadyCommitted(Revert):
    """A commitment is made once."""

    SIGNATURE = "AlreadyCommitted(bytes32 commitment, uint256 blockNumber)"
    SENTENCE = "the commitment {commitment} was made in block {blockNumber} already"
    HINT = "go on with the proof, or choose another salt"


# ---------------------------------------------------------------- LeafRequests


class RequestsClosed(Revert):
    """Leaves are asked for in the challenge window."""

    SIGNATURE = "RequestsClosed(uint48 challengeEndsAt, uint256 current)"
    SENTENCE = "the challenge window ended at {challengeEndsAt:s}, the chain's clock says {current:s}"
    HINT = "leaves can be asked for only while it is open; a fault can still be proved"


class NoSuchLeaf(Revert):
    """A tree has as many leaves as the header counts."""

    SIGNATURE = "NoSuchLeaf(uint8 tree, uint256 index, uint256 count)"
    SENTENCE = "there is no {tree:tree} {index}: the header counts {count}, from 0"
    HINT = "ask for one that is counted"


class NoneRequested(Revert):
    """Answers are for what is asked."""

    SIGNATURE = "NoneRequested()"
    SENTENCE = "none of these leaves is being asked for, or not any more"
    HINT = "see what is asked for: timebank chain status"


class AlreadyRequested(Revert):
    """A leaf is asked for once."""

    SIGNATURE = "AlreadyRequested(uint8 tree, uint256 index)"
    SENTENCE = "{tree:tree} {index} is being asked for already, or has been shown"
    HINT = "an answer stands in the events ActivityAnswered and AccountAnswered"


class TooManyRequests(Revert):
    """Nobody can ask for everything at once."""

    SIGNATURE = "TooManyRequests(uint256 open, uint256 max)"
    SENTENCE = "{open} of your requests are open, at most {max} can be"
    HINT = "wait for answers, or for the answer time to end"


class WrongDeposit(Revert):
    """A request brings exactly its price."""

    SIGNATURE = "WrongDeposit(uint256 sent, uint256 price)"
    SENTENCE = "{sent} wei were sent as deposit, {price} wei are asked"
    HINT = "send exactly the price; it grows with the requests that are open"


class NotRequested(Revert):
    """Only what was asked for is answered, voided for or given back."""

    SIGNATURE = "NotRequested(uint8 tree, uint256 index)"
    SENTENCE = "{tree:tree} {index} is not being asked for"
    HINT = "it was answered or given back, or nobody asked"


class NotLastLeaf(Revert):
    """Nothing hides behind the last leaf."""

    SIGNATURE = "NotLastLeaf(uint8 tree, uint256 index, uint256 level)"
    SENTENCE = "{tree:tree} {index} is the last, yet on level {level} something stands right of it"
    HINT = "such a leaf is no answer but a fault: the padding of the tree is not empty"


class AnswerTimeOpen(Revert):
    """Who has the leaf gets time to show it."""

    SIGNATURE = "AnswerTimeOpen(uint48 answerUntil, uint256 current)"
    SENTENCE = "there is time to answer until {answerUntil:s}, the chain's clock says {current:s}"
    HINT = "void the epoch after that"


class ProposalStillPending(Revert):
    """Deposits wait while the proposal does."""

    SIGNATURE = "ProposalStillPending(bytes32 headerHash)"
    SENTENCE = "the proposal {headerHash} is still pending"
    HINT = "its requests are answered, or it is voided for them"


class BadParameters(Revert):
    """Answers take time, requests cost something."""

    SIGNATURE = "BadParameters(uint48 answerTime, uint96 requestDeposit)"
    SENTENCE = "an answer time of {answerTime} s and a deposit of {requestDeposit} wei: neither may be 0"
    HINT = "choose both: timebank chain deploy --answer-time --request-deposit"
