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
/// pays the gas. Its oracle, credit, fee pool and registry are fixed at creation; no role governs it.
interface ICreditDistributor {
    /// @notice An epoch was finalised: claims are now made against this root.
    /// @param epoch Number of the epoch.
    /// @param accountRoot Root of its account tree.
    /// @param totalMint Micro-credits the epoch grants, all accounts together.
    /// @param pot Micro-credits of fees that were burned because `totalMint` grants them again to active members.
    event RootAccepted(uint32 indexed epoch, bytes32 accountRoot, uint256 totalMint, uint256 pot);

    /// @notice Credits were minted.
    /// @param account The leaf's account.
    /// @param receiver Who got them: the account, or the wallet its placeholder is linked to.
    /// @param epoch The epoch against whose root was proved.
    /// @param amount Micro-credits minted.
    /// @param cumulative Micro-credits minted for the account so far, this claim included.
    event Claimed(
        address indexed account, address indexed receiver, uint32 indexed epoch, uint256 amount, uint256 cumulative
    );

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

    /// @notice The oracle whose finalised epochs it pays out.
    function oracle() external view returns (address);

    /// @notice The credit it mints.
    function credit() external view returns (IAttentionCredit);

    /// @notice The pool whose bonus it burns when an epoch grants it.
    function feePool() external view returns (IFeePool);

    /// @notice Where placeholders are linked to wallets.
    function registry() external view returns (IMemberRegistry);
}
