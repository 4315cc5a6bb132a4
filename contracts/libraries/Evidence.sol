// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {AccountEvidence, ActivityEvidence, IEvidence, Tree} from "../interfaces/IEvidence.sol";
import {EpochHeader, IRateOracle, Proposal} from "../interfaces/IRateOracle.sol";
import {AccountLeaf, ActivityLeaf, EpochTree} from "./EpochTree.sol";
import {Header} from "./Header.sol";

/// @title Evidence: leaves somebody shows, checked against the header of the pending epoch
/// @dev Every leaf comes with exactly as many siblings as the tree is deep, and stands among those the header counts.
library Evidence {
    /// @notice The header is the pending one.
    function pending(IRateOracle oracle, EpochHeader calldata header)
        internal
        view
        returns (bytes32 headerHash, uint48 challengeEndsAt)
    {
        headerHash = Header.hash(header);
        Proposal memory proposal = oracle.pending();
        require(headerHash == proposal.headerHash, IEvidence.HeaderNotPending(headerHash, proposal.headerHash));
        challengeEndsAt = proposal.challengeEndsAt;
    }

    /// @notice The activity in question.
    function activity(EpochHeader calldata header, ActivityEvidence calldata evidence)
        internal
        pure
        returns (ActivityLeaf memory)
    {
        ActivityLeaf[] memory leaves = activities(header, evidence);
        require(leaves.length == 1, IEvidence.NotNeighbours(Tree.Activity, leaves.length, leaves[0].index));
        return leaves[0];
    }

    /// @notice The account in question.
    function account(bytes32 root, uint256 count, AccountEvidence calldata evidence)
        internal
        pure
        returns (AccountLeaf memory)
    {
        AccountLeaf[] memory leaves = accounts(root, count, evidence);
        require(leaves.length == 1, IEvidence.NotNeighbours(Tree.Account, leaves.length, leaves[0].index));
        return leaves[0];
    }

    /// @notice The activity in question and the one before it; before the first an empty leaf, whose sums are 0.
    function neighbourActivities(EpochHeader calldata header, ActivityEvidence calldata evidence)
        internal
        pure
        returns (ActivityLeaf memory before, ActivityLeaf memory leaf)
    {
        ActivityLeaf[] memory leaves = activities(header, evidence);
        leaf = leaves[leaves.length - 1];
        if (leaves.length == 2) before = leaves[0];
        else require(leaf.index == 0, IEvidence.NotNeighbours(Tree.Activity, 1, leaf.index));
    }

    /// @notice The account in question and the one before it; before the first an empty leaf, whose sums and end are 0.
    function neighbourAccounts(EpochHeader calldata header, AccountEvidence calldata evidence)
        internal
        pure
        returns (AccountLeaf memory before, AccountLeaf memory leaf)
    {
        AccountLeaf[] memory leaves = accounts(header.accountRoot, header.accountCount, evidence);
        leaf = leaves[leaves.length - 1];
        if (leaves.length == 2) before = leaves[0];
        else require(leaf.index == 0, IEvidence.NotNeighbours(Tree.Account, 1, leaf.index));
    }

    /// @notice The account's leaf, or the proof that it has none: leaves ascend by account, so neighbours around it, or the
    /// first or last leaf beside it, leave no room.
    function find(bytes32 root, uint256 count, AccountEvidence calldata evidence, address wanted)
        internal
        pure
        returns (bool present, AccountLeaf memory leaf)
    {
        if (count == 0) return (false, leaf);
        AccountLeaf[] memory leaves = accounts(root, count, evidence);
        AccountLeaf memory first = leaves[0];
        if (leaves.length == 2) {
            require(first.account < wanted && wanted < leaves[1].account, IEvidence.NothingSaidOf(wanted));
            return (false, leaf);
        }
        if (first.account == wanted) return (true, first);
        bool beyond = wanted < first.account ? first.index == 0 : uint256(first.index) + 1 == count;
        require(beyond, IEvidence.NothingSaidOf(wanted));
    }

    /// @notice Whether a leaf is where it should not be.
    function misplaced(uint256 index, uint256 position, uint256 count, bytes32[] calldata siblings)
        internal
        pure
        returns (bool)
    {
        if (index != position || position >= count) return true;
        if (position + 1 != count) return false;
        (bool padded,) = paddedRight(position, siblings);
        return !padded;
    }

    /// @notice Whether everything right of a position is padding; else on which level there is something.
    function paddedRight(uint256 position, bytes32[] calldata siblings)
        internal
        pure
        returns (bool padded, uint256 level)
    {
        bytes32 empty;
        for (; level < siblings.length; ++level) {
            // forge-lint: disable-next-line(incorrect-shift)
            if ((position >> level) & 1 == 0 && siblings[level] != empty) return (false, level);
            empty = EpochTree.hashPair(empty, empty);
        }
        return (true, level);
    }

    /// @notice Levels of a tree: `ceil(log2(count))`.
    function depth(uint256 count) internal pure returns (uint256) {
        return Math.log2(count, Math.Rounding.Ceil);
    }

    /// @notice One or two activities, where they say they stand.
    function activities(EpochHeader calldata header, ActivityEvidence calldata evidence)
        internal
        pure
        returns (ActivityLeaf[] memory leaves)
    {
        uint256 length = evidence.leaves.length;
        require(length == 1 || length == 2, IEvidence.NotNeighbours(Tree.Activity, length, 0));
        leaves = evidence.leaves;
        bytes32[] memory hashes = new bytes32[](length);
        for (uint256 i; i < length; ++i) {
            hashes[i] = EpochTree.hashActivity(leaves[i]);
        }
        uint256 first = leaves[0].index;
        require(
            length == 1 || leaves[1].index == first + 1,
            IEvidence.NotNeighbours(Tree.Activity, length, leaves[length - 1].index)
        );
        require(
            _stand(hashes, first, evidence.siblings, header.activityCount, header.activityRoot),
            IEvidence.NotInTree(Tree.Activity, first, header.activityCount)
        );
    }

    /// @notice One or two accounts, where they say they stand.
    function accounts(bytes32 root, uint256 count, AccountEvidence calldata evidence)
        internal
        pure
        returns (AccountLeaf[] memory leaves)
    {
        uint256 length = evidence.leaves.length;
        require(length == 1 || length == 2, IEvidence.NotNeighbours(Tree.Account, length, 0));
        leaves = evidence.leaves;
        bytes32[] memory hashes = new bytes32[](length);
        for (uint256 i; i < length; ++i) {
            hashes[i] = EpochTree.hashAccount(evidence.leaves[i]);
        }
        uint256 first = leaves[0].index;
        require(
            length == 1 || leaves[1].index == first + 1,
            IEvidence.NotNeighbours(Tree.Account, length, leaves[length - 1].index)
        );
        require(_stand(hashes, first, evidence.siblings, count, root), IEvidence.NotInTree(Tree.Account, first, count));
    }

    /// @notice Whether leaves stand side by side under a root, among those that are counted.
    function _stand(bytes32[] memory hashes, uint256 first, bytes32[] calldata siblings, uint256 count, bytes32 root)
        internal
        pure
        returns (bool)
    {
        return first + hashes.length <= count && EpochTree.verifyRange(hashes, first, siblings, depth(count), root);
    }
}
