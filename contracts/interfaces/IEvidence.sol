// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccountLeaf, ActivityLeaf} from "../libraries/EpochTree.sol";

/// @notice The two trees of an epoch.
enum Tree {
    Activity,
    Account
}

/// @notice Activities and the proof that they stand side by side in the activity tree.
/// @param leaves One, or two neighbours in the order of their indices.
/// @param siblings Hashes from the leaves up, left before right; see `EpochTree.verifyRange`.
struct ActivityEvidence {
    ActivityLeaf[] leaves;
    bytes32[] siblings;
}

/// @notice Accounts and the proof that they stand side by side in the account tree.
/// @param leaves One, or two neighbours in the order of their indices; none where something is absent from an empty tree.
/// @param siblings Hashes from the leaves up, left before right; see `EpochTree.verifyRange`.
struct AccountEvidence {
    AccountLeaf[] leaves;
    bytes32[] siblings;
}

/// @title IEvidence: leaves of a pending epoch, shown on chain
interface IEvidence {
    /// @notice The header is not the one that is pending (zero: none is).
    error HeaderNotPending(bytes32 headerHash, bytes32 pendingHash);

    /// @notice The leaves are not where they say they are under the tree's root.
    error NotInTree(Tree tree, uint256 index, uint256 count);

    /// @notice One leaf or two neighbours are needed, and here another number was given, or they do not stand side by side.
    error NotNeighbours(Tree tree, uint256 leaves, uint256 index);

    /// @notice The leaves shown neither are the account's nor prove that it has none.
    error NothingSaidOf(address account);
}
