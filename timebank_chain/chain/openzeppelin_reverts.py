"""Refusals that OpenZeppelin's contracts bring along: tokens, signatures, roles and delays."""

from __future__ import annotations

from timebank_chain.chain.revert import Revert


class SafeERC20FailedOperation(Revert):
    """A token call failed."""

    SIGNATURE = "SafeERC20FailedOperation(address token)"
    SENTENCE = "the token {token} refused"


class ReentrancyGuardReentrantCall(Revert):
    """A call came back in the middle of another one."""

    SIGNATURE = "ReentrancyGuardReentrantCall()"
    SENTENCE = "a token or wallet tried to trade again in the middle of a trade"


class ERC20InsufficientBalance(Revert):
    """Not enough credits."""

    SIGNATURE = "ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed)"
    SENTENCE = "{sender} has {balance:credits} credits, {needed:credits} are needed"
    HINT = "send less, or claim first: timebank wallet claim"


class ERC20InsufficientAllowance(Revert):
    """Not enough allowance."""

    SIGNATURE = "ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed)"
    SENTENCE = "{spender} may take {allowance:credits} credits, {needed:credits} are needed"
    HINT = "approve more first"


class ERC20InvalidApprover(Revert):
    """The zero address cannot approve."""

    SIGNATURE = "ERC20InvalidApprover(address approver)"
    SENTENCE = "{approver} cannot approve"


class ERC20InvalidReceiver(Revert):
    """The zero address cannot receive."""

    SIGNATURE = "ERC20InvalidReceiver(address receiver)"
    SENTENCE = "{receiver} cannot receive credits"
    HINT = "give the receiver's address"


class ERC20InvalidSender(Revert):
    """The zero address cannot send."""

    SIGNATURE = "ERC20InvalidSender(address sender)"
    SENTENCE = "{sender} cannot send credits"


class ERC20InvalidSpender(Revert):
    """The zero address cannot spend."""

    SIGNATURE = "ERC20InvalidSpender(address spender)"
    SENTENCE = "{spender} cannot be allowed to spend"


class ERC721NonexistentToken(Revert):
    """There is no such receipt."""

    SIGNATURE = "ERC721NonexistentToken(uint256 tokenId)"
    SENTENCE = "there is no receipt {tokenId}, or its deposit is closed"
    HINT = "see yours: timebank deposit list"


class ERC721IncorrectOwner(Revert):
    """A receipt is another's."""

    SIGNATURE = "ERC721IncorrectOwner(address sender, uint256 tokenId, address owner)"
    SENTENCE = "receipt {tokenId} is held by {owner}, not by {sender}"
    HINT = "see yours: timebank deposit list"


class ERC721InsufficientApproval(Revert):
    """Who moves another's receipt must be approved for it."""

    SIGNATURE = "ERC721InsufficientApproval(address operator, uint256 tokenId)"
    SENTENCE = "{operator} is not approved for receipt {tokenId}"
    HINT = "approve it for that receipt first"


class ERC721InvalidOwner(Revert):
    """The zero address holds no receipt."""

    SIGNATURE = "ERC721InvalidOwner(address owner)"
    SENTENCE = "{owner} can hold no receipt"


class ERC721InvalidSender(Revert):
    """A receipt cannot be made twice."""

    SIGNATURE = "ERC721InvalidSender(address sender)"
    SENTENCE = "{sender} can send no receipt"


class ERC721InvalidReceiver(Revert):
    """The receiver cannot hold a receipt."""

    SIGNATURE = "ERC721InvalidReceiver(address receiver)"
    SENTENCE = "{receiver} can hold no receipt"
    HINT = "give an address that can dispose of a receipt"


class ERC721InvalidApprover(Revert):
    """Only a receipt's holder approves for it."""

    SIGNATURE = "ERC721InvalidApprover(address approver)"
    SENTENCE = "{approver} does not hold the receipt and cannot approve others for it"
    HINT = "a pledged receipt is held by its creditor: repay first"


class ERC721InvalidOperator(Revert):
    """The zero address cannot be approved for everything."""

    SIGNATURE = "ERC721InvalidOperator(address operator)"
    SENTENCE = "{operator} cannot be approved"


class ERC4626ExceededMaxDeposit(Revert):
    """The pool takes in no more."""

    SIGNATURE = "ERC4626ExceededMaxDeposit(address receiver, uint256 assets, uint256 max)"
    SENTENCE = "the pool takes {max:credits} credits more, not {assets:credits}"


class ERC4626ExceededMaxMint(Revert):
    """The pool takes in no more."""

    SIGNATURE = "ERC4626ExceededMaxMint(address receiver, uint256 shares, uint256 max)"
    SENTENCE = "the pool makes {max} shares more, not {shares}"


class ERC4626ExceededMaxWithdraw(Revert):
    """A supplier takes out what is theirs, as far as the pool has cash."""

    SIGNATURE = "ERC4626ExceededMaxWithdraw(address owner, uint256 assets, uint256 max)"
    SENTENCE = "{owner} can withdraw {max:credits} credits now, not {assets:credits}"
    HINT = "withdraw less, or wait for repayments: timebank loan pool shows the cash"


class ERC4626ExceededMaxRedeem(Revert):
    """A supplier takes out what is theirs, as far as the pool has cash."""

    SIGNATURE = "ERC4626ExceededMaxRedeem(address owner, uint256 shares, uint256 max)"
    SENTENCE = "{owner} can redeem {max} shares now, not {shares}"
    HINT = "redeem fewer, or wait for repayments: timebank loan pool shows the cash"


class ERC2612ExpiredSignature(Revert):
    """The permit is too old."""

    SIGNATURE = "ERC2612ExpiredSignature(uint256 deadline)"
    SENTENCE = "the permit was valid until {deadline:s}"
    HINT = "sign a new one"


class ERC2612InvalidSigner(Revert):
    """The permit is somebody else's, or was changed."""

    SIGNATURE = "ERC2612InvalidSigner(address signer, address owner)"
    SENTENCE = "the permit is signed by {signer}, not by {owner}"
    HINT = "sign exactly what is sent, with the owner's key"


class InvalidAccountNonce(Revert):
    """The permit's nonce is used."""

    SIGNATURE = "InvalidAccountNonce(address account, uint256 currentNonce)"
    SENTENCE = "the nonce of {account} is {currentNonce}"
    HINT = "sign again with that nonce"


class ECDSAInvalidSignature(Revert):
    """A signature recovers to nobody."""

    SIGNATURE = "ECDSAInvalidSignature()"
    SENTENCE = "a signature is not valid"
    HINT = "sign again"


class ECDSAInvalidSignatureLength(Revert):
    """A signature has 65 bytes."""

    SIGNATURE = "ECDSAInvalidSignatureLength(uint256 length)"
    SENTENCE = "a signature has {length} bytes, not 65"
    HINT = "sign again"


class ECDSAInvalidSignatureS(Revert):
    """A signature is in its malleable form."""

    SIGNATURE = "ECDSAInvalidSignatureS(bytes32 s)"
    SENTENCE = "a signature has the malleable s value {s}"
    HINT = "use the low-s form, as every wallet does"


class InvalidShortString(Revert):
    """A stored short text is broken."""

    SIGNATURE = "InvalidShortString()"
    SENTENCE = "a stored text is broken"


class StringTooLong(Revert):
    """A text is too long to store."""

    SIGNATURE = "StringTooLong(string str)"
    SENTENCE = "the text {str} is too long"


class SafeCastOverflowedUintDowncast(Revert):
    """A number is too large."""

    SIGNATURE = "SafeCastOverflowedUintDowncast(uint8 bits, uint256 value)"
    SENTENCE = "{value} does not fit {bits} bits"


class AccessManagedUnauthorized(Revert):
    """The caller lacks the role."""

    SIGNATURE = "AccessManagedUnauthorized(address caller)"
    SENTENCE = "{caller} may not do this"
    HINT = "sign as who holds the role: timebank chain status shows the roles"


class AccessManagedRequiredDelay(Revert):
    """The call must be scheduled first."""

    SIGNATURE = "AccessManagedRequiredDelay(address caller, uint32 delay)"
    SENTENCE = "{caller} must schedule this {delay} s ahead"
    HINT = "use the timebank chain command for it: it schedules first, then executes"


class AccessManagedInvalidAuthority(Revert):
    """The new manager is no contract."""

    SIGNATURE = "AccessManagedInvalidAuthority(address authority)"
    SENTENCE = "{authority} is no access manager"


class AccessManagerAlreadyScheduled(Revert):
    """The operation waits already."""

    SIGNATURE = "AccessManagerAlreadyScheduled(bytes32 operationId)"
    SENTENCE = "operation {operationId} is scheduled already"
    HINT = "wait for its time, then run the command again"


class AccessManagerNotScheduled(Revert):
    """The operation was never scheduled."""

    SIGNATURE = "AccessManagerNotScheduled(bytes32 operationId)"
    SENTENCE = "operation {operationId} is not scheduled"
    HINT = "schedule it first"


class AccessManagerNotReady(Revert):
    """The operation's time has not come."""

    SIGNATURE = "AccessManagerNotReady(bytes32 operationId)"
    SENTENCE = "operation {operationId} must wait longer"
    HINT = "run the command again later"


class AccessManagerExpired(Revert):
    """The operation waited too long."""

    SIGNATURE = "AccessManagerExpired(bytes32 operationId)"
    SENTENCE = "operation {operationId} has expired"
    HINT = "schedule it again"


class AccessManagerLockedRole(Revert):
    """The role cannot be changed."""

    SIGNATURE = "AccessManagerLockedRole(uint64 roleId)"
    SENTENCE = "role {roleId} is locked"


class AccessManagerLockedFunction(Revert):
    """The function cannot be given a role."""

    SIGNATURE = "AccessManagerLockedFunction(bytes4 selector)"
    SENTENCE = "function {selector} is locked"


class AccessManagerBadConfirmation(Revert):
    """Only the holder renounces a role."""

    SIGNATURE = "AccessManagerBadConfirmation()"
    SENTENCE = "a role is renounced by its holder only"


class AccessManagerUnauthorizedAccount(Revert):
    """The caller lacks a role."""

    SIGNATURE = "AccessManagerUnauthorizedAccount(address msgsender, uint64 roleId)"
    SENTENCE = "{msgsender} lacks role {roleId}"
    HINT = "sign as who holds the role: timebank chain status shows the roles"


class AccessManagerUnauthorizedCall(Revert):
    """The caller may not schedule or execute this."""

    SIGNATURE = "AccessManagerUnauthorizedCall(address caller, address target, bytes4 selector)"
    SENTENCE = "{caller} may not call {selector} of {target}"
    HINT = "sign as who holds the role: timebank chain status shows the roles"


class AccessManagerUnauthorizedConsume(Revert):
    """A contract consumes its own operations only."""

    SIGNATURE = "AccessManagerUnauthorizedConsume(address target)"
    SENTENCE = "{target} may not consume this operation"


class AccessManagerUnauthorizedCancel(Revert):
    """The caller may not cancel this."""

    SIGNATURE = (
        "AccessManagerUnauthorizedCancel(address msgsender, address caller, address target, bytes4 selector)"
    )
    SENTENCE = "{msgsender} may not cancel what {caller} scheduled"


class AccessManagerInvalidInitialAdmin(Revert):
    """The first admin is an address."""

    SIGNATURE = "AccessManagerInvalidInitialAdmin(address initialAdmin)"
    SENTENCE = "{initialAdmin} cannot be the admin"


class AddressEmptyCode(Revert):
    """There is no contract."""

    SIGNATURE = "AddressEmptyCode(address target)"
    SENTENCE = "{target} has no code"
    HINT = "check the address and the chain"


class FailedCall(Revert):
    """An inner call failed without a reason."""

    SIGNATURE = "FailedCall()"
    SENTENCE = "an inner call failed without a reason"


class InsufficientBalance(Revert):
    """A contract has too little coin."""

    SIGNATURE = "InsufficientBalance(uint256 balance, uint256 needed)"
    SENTENCE = "a contract has {balance} wei, {needed} are needed"
