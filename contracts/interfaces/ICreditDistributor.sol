// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAttentionCredit} from "./IAttentionCredit.sol";
import {IFeePool} from "./IFeePool.sol";
import {IMemberRegistry} from "./IMemberRegistry.sol";
import {AccountLeaf} from "../libraries/EpochTree.sol";

/// @title ICreditDistributor: turns account leaves of the latest finalised epoch into credits
/// @notice Every account leaf carries the account's cumulative mint. A claim mints what of it has not been claimed yet,
/// so nobody has to claim every epoch, and one proof pays out all of them.
/// @dev Only the latest root is kept: proofs must be made against the latest finalised epoch. Credits go to the leaf's
/// account itself, or, for a placeholder, to the wallet the registry links it to: whoever sends the transaction only
/// pays the gas. Its oracle, credit, fee pool and registry are fixed at creation, the rooms of the bank once at
/// deployment.
///
/// Two things can stand between a claim and the wallet, both the member's own doing. Claims pledged to a creditor (a loan
/// or a lease on standing) repay an overdue debt first. A standing order turns what is left into a deposit of the time
/// bank. Both are kept in the slot of the account's claims: who has neither pays nothing for them. A placeholder's claims
/// repay its wallet's debt too, whichever account it was made on; for that its claim looks at one slot more.
interface ICreditDistributor {
    /// @notice An epoch was finalised: claims are now made against this root.
    /// @param epoch Number of the epoch.
    /// @param accountRoot Root of its account tree.
    /// @param totalMint Micro-credits the epoch grants, all accounts together.
    /// @param pot Micro-credits of fees that were burned because `totalMint` grants them again to active members.
    event RootAccepted(uint32 indexed epoch, bytes32 accountRoot, uint256 totalMint, uint256 pot);

    /// @notice Credits were minted, to the receiver unless `ClaimRouted` follows.
    /// @param account The leaf's account.
    /// @param receiver Whose they were: the account, or the wallet its placeholder is linked to.
    /// @param epoch The epoch against whose root was proved.
    /// @param amount Micro-credits minted.
    /// @param cumulative Micro-credits minted for the account so far, this claim included.
    event Claimed(
        address indexed account, address indexed receiver, uint32 indexed epoch, uint256 amount, uint256 cumulative
    );

    /// @notice A claim did not go to the wallet whole; what is not named here did. Follows its `Claimed`, after the mints
    /// to the creditor, the time bank and the wallet, in this order.
    /// @param account The leaf's account.
    /// @param creditor Who got `toCreditor`, which is 0 while nothing is overdue; zero when no claims are pledged.
    /// @param toCreditor Micro-credits that repaid an overdue debt.
    /// @param depositId The receipt that was made; 0 for none.
    /// @param toDeposit Micro-credits that were deposited for the receiver.
    event ClaimRouted(
        address indexed account,
        address indexed creditor,
        uint256 toCreditor,
        uint256 indexed depositId,
        uint256 toDeposit
    );

    /// @notice A standing order was given, changed or, with `active` false and `termId` 0, ended.
    event StandingOrderSet(address indexed account, bool active, uint256 termId);

    /// @notice Claims of an account and a wallet (which may be the same) were pledged, or with creditor zero freed.
    event ClaimsPledgeSet(address indexed account, address indexed wallet, address indexed creditor);

    /// @notice The rooms of the bank were set, for ever.
    event RoomsSet(address indexed timeBank, address indexed lending, address indexed lease);

    /// @notice Somebody without the role tried to set the rooms: only the manager's administrator can, once.
    error NotAdministrator(address caller);

    /// @notice The rooms are set already (it names them), or one of the new ones is the zero address (it names those).
    error RoomsFixed(address timeBank, address lending, address lease);

    /// @notice There is no bank yet to deposit in.
    error RoomsNotSet();

    /// @notice The caller (or the wallet to be pledged) neither is the account nor the wallet its placeholder is linked to.
    error NotAccountHolder(address account, address caller);

    /// @notice Somebody other than the lending pool or the lease pledged or freed claims.
    error NotCreditor(address caller);

    /// @notice The account's claims are pledged to a creditor (by the caller's own doing or another's) already.
    error ClaimsPledged(address account, address creditor);

    /// @notice Somebody other than the oracle tried to set a root.
    error NotOracle(address caller, address oracle);

    /// @notice No epoch has been finalised yet.
    error NoEpochFinalised();

    /// @notice The leaf, or the first of a range of leaves, does not stand at its index under the root.
    error LeafNotInRoot(uint32 index, bytes32 root);

    /// @notice Everything granted to the account has been claimed.
    /// @param account The leaf's account.
    /// @param claimed Micro-credits minted for it so far.
    error NothingToClaim(address account, uint256 claimed);

    /// @notice The account is a placeholder that no wallet is linked to yet.
    error NotLinked(address placeholder);

    /// @notice A range of no leaves.
    error NoLeaves();

    /// @notice A range has a gap or is out of order.
    /// @param index Index of the leaf.
    /// @param expected Index that follows the leaf before it.
    error LeavesNotContiguous(uint32 index, uint256 expected);

    /// @notice Mints what an account has been granted and not yet claimed.
    /// @dev Requirements: an epoch is finalised (`NoEpochFinalised`), the leaf stands under its root
    /// (`LeafNotInRoot`), something is left to claim (`NothingToClaim`), a placeholder is linked (`NotLinked`).
    /// Anybody may call it for anybody. Emits `Claimed`.
    /// @param leaf The account's leaf in the latest finalised epoch.
    /// @param proof Sibling hashes, from the leaf up.
    /// @return minted Micro-credits.
    function claim(AccountLeaf calldata leaf, bytes32[] calldata proof) external returns (uint256 minted);

    /// @notice Claims for neighbours in one transaction, with one proof for all of them.
    /// @dev Skips, rather than refuses, accounts with nothing left to claim and placeholders without a wallet.
    /// Requirements: at least one leaf (`NoLeaves`), indices without a gap (`LeavesNotContiguous`), an epoch is
    /// finalised (`NoEpochFinalised`), all leaves stand under its root (`LeafNotInRoot`). Emits `Claimed` for each
    /// account that got something.
    /// @param leaves Leaves of the latest finalised epoch, ascending by index.
    /// @param proof Siblings of the range, bottom-up, left before right.
    /// @param depth Height of the account tree: `ceil(log2(accountCount))`.
    /// @return minted Micro-credits, all accounts together.
    function claimMany(AccountLeaf[] calldata leaves, bytes32[] calldata proof, uint256 depth)
        external
        returns (uint256 minted);

    /// @notice Deposits later claims of an account in the time bank, under a term.
    /// @dev Requirements: the caller is the account, or the wallet its placeholder is linked to (`NotAccountHolder`); the
    /// rooms are set (`RoomsNotSet`); the term exists (`NoSuchTerm` of the time bank). Emits `StandingOrderSet`. Claims go to the wallet as before when the
    /// rest after a repayment is 0.
    function setStandingOrder(address account, uint16 termId) external;

    /// @notice Ends a standing order, if there is one.
    /// @dev Requirements: the caller is the account, or the wallet its placeholder is linked to (`NotAccountHolder`).
    /// Emits `StandingOrderSet`.
    function endStandingOrder(address account) external;

    /// @notice Pledges the claims of an account and of its wallet to the caller.
    /// @dev Requirements: the caller is the lending pool or the lease (`NotCreditor`), `wallet` is the account or its
    /// linked wallet (`NotAccountHolder`), neither is pledged to another creditor (`ClaimsPledged`). Repeating one's own
    /// pledge of the same pair changes nothing. Emits `ClaimsPledgeSet`.
    function pledgeClaims(address account, address wallet) external;

    /// @notice Frees claims pledged to the caller.
    /// @dev Requirements: the caller is the lending pool or the lease (`NotCreditor`), neither is pledged to the other
    /// creditor (`ClaimsPledged`). Freeing what is free changes nothing. Emits `ClaimsPledgeSet`.
    function releaseClaims(address account, address wallet) external;

    /// @notice Sets the rooms of the bank, once.
    /// @dev Requirements: the caller may call this under the access manager (`NotAdministrator`), not set before and no zero
    /// address (`RoomsFixed`). Emits `RoomsSet`.
    function setRooms(address newTimeBank, address newLending, address newLease) external;

    /// @notice Takes over a finalised epoch and burns its pot from the fee pool.
    /// @dev Requirements: the caller is the oracle (`NotOracle`); the fee pool's bonus covers the pot
    /// (`InsufficientBonus`). Emits `RootAccepted`.
    /// @param newEpoch Number of the epoch.
    /// @param newRoot Root of its account tree.
    /// @param totalMint Micro-credits the epoch grants.
    /// @param pot Micro-credits.
    function acceptRoot(uint32 newEpoch, bytes32 newRoot, uint256 totalMint, uint256 pot) external;

    /// @notice Number of the latest finalised epoch; 0 before the first.
    function epoch() external view returns (uint32);

    /// @notice Account root of the latest finalised epoch.
    function accountRoot() external view returns (bytes32);

    /// @notice Micro-credits minted for an account so far.
    function claimed(address account) external view returns (uint256);

    /// @notice The creditor an account's claims are pledged to; zero when none.
    function creditorOf(address account) external view returns (address);

    /// @notice An account's standing order.
    /// @return active Whether there is one.
    /// @return termId Its term.
    function standingOrderOf(address account) external view returns (bool active, uint256 termId);

    /// @notice Who gets what an account claims: itself, or the wallet its placeholder is linked to; zero for none.
    function receiverOf(address account) external view returns (address);

    /// @notice Whether a leaf stands under the latest finalised account root, all 32 bytes of it.
    function isLatestLeaf(AccountLeaf calldata leaf, bytes32[] calldata proof) external view returns (bool);

    /// @notice The access manager whose administrator sets the rooms.
    function authority() external view returns (address);

    /// @notice Where standing orders deposit; zero until `setRooms`.
    function timeBank() external view returns (address);

    /// @notice A creditor claims can be pledged to; zero until `setRooms`.
    function lending() external view returns (address);

    /// @notice The other creditor claims can be pledged to; zero until `setRooms`.
    function lease() external view returns (address);

    /// @notice The oracle whose finalised epochs it pays out.
    function oracle() external view returns (address);

    /// @notice The credit it mints.
    function credit() external view returns (IAttentionCredit);

    /// @notice The pool whose bonus it burns when an epoch grants it.
    function feePool() external view returns (IFeePool);

    /// @notice Where placeholders are linked to wallets.
    function registry() external view returns (IMemberRegistry);
}
