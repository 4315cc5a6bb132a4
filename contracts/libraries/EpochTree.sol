// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @notice One settled act, as committed.
/// @param index Position in the activity tree.
/// @param recordId keccak256 of salt and canonical record.
/// @param account Who acted: a wallet, or a placeholder.
/// @param domain Position of the act's domain in the policy.
/// @param occurredMs Unix time of the act in milliseconds.
/// @param interactionMilli Raw indicator in thousandths.
/// @param originalityMilli Raw indicator in thousandths.
/// @param engagementMilli Raw indicator in thousandths.
/// @param value Micro-value at the epoch's end, negative for a penalty.
/// @param running Sum of `value` over the whole tree up to and including this leaf.
struct ActivityLeaf {
    uint32 index;
    bytes32 recordId;
    address account;
    uint16 domain;
    uint48 occurredMs;
    uint32 interactionMilli;
    uint32 originalityMilli;
    uint32 engagementMilli;
    int64 value;
    int64 running;
}

/// @notice One account at the end of an epoch, as committed.
/// @param index Position in the account tree.
/// @param account A wallet, or a placeholder.
/// @param activityEnd Index after the account's last activity leaf; the range starts where the previous account's ends.
/// @param earned Micro-value earned in this epoch.
/// @param runningEarned Sum of `earned` up to and including this leaf.
/// @param runningActive Number of leaves with `earned > 0` up to and including this one.
/// @param standing Decayed micro-value of everything ever earned.
/// @param mint Micro-credits this epoch grants.
/// @param runningMint Sum of `mint` up to and including this leaf.
/// @param cumulativeMint Micro-credits granted to the account since the first epoch.
struct AccountLeaf {
    uint32 index;
    address account;
    uint32 activityEnd;
    uint64 earned;
    uint64 runningEarned;
    uint32 runningActive;
    uint64 standing;
    uint64 mint;
    uint64 runningMint;
    uint64 cumulativeMint;
}

/// @title EpochTree: leaves, and proofs that they stand at their index under a root
/// @notice A binary keccak tree whose leaves carry their own index, so that a proof binds position as well as content.
/// Missing leaves up to the next power of two are zero hashes. One leaf is its own root; no leaf at all is root zero.
/// @dev Leaves are 93 and 81 bytes, nodes are 64 bytes, and the two leaf kinds start with different tags: no leaf can
/// pass for a node or for a leaf of the other kind, so a proof of the wrong length yields a wrong root.
library EpochTree {
    /// @dev First byte of an activity leaf.
    uint8 internal constant ACTIVITY_TAG = 0x01;

    /// @dev First byte of an account leaf.
    uint8 internal constant ACCOUNT_TAG = 0x02;

    /// @dev Indices are 32 bit: no tree is deeper.
    uint256 internal constant MAX_DEPTH = 32;

    /// @notice Hash of an activity leaf: keccak256 of 93 packed bytes.
    function hashActivity(ActivityLeaf memory leaf) internal pure returns (bytes32) {
        return keccak256(
            abi.encodePacked(
                ACTIVITY_TAG,
                leaf.index,
                leaf.recordId,
                leaf.account,
                leaf.domain,
                leaf.occurredMs,
                leaf.interactionMilli,
                leaf.originalityMilli,
                leaf.engagementMilli,
                leaf.value,
                leaf.running
            )
        );
    }

    /// @notice Hash of an account leaf: keccak256 of 81 packed bytes.
    /// @dev Packed by shifts into three numbers first: encoding eleven fields one by one costs a claim 100 gas more.
    function hashAccount(AccountLeaf calldata leaf) internal pure returns (bytes32) {
        uint256 who = uint256(ACCOUNT_TAG) << 224 | uint256(leaf.index) << 192 | uint256(uint160(leaf.account)) << 32
            | leaf.activityEnd;
        uint256 value = uint256(leaf.earned) << 160 | uint256(leaf.runningEarned) << 96 | uint256(leaf.runningActive)
            << 64 | leaf.standing;
        uint256 credits = uint256(leaf.mint) << 128 | uint256(leaf.runningMint) << 64 | leaf.cumulativeMint;
        // Safe unchecked casts because the fields above are 232, 224 and 192 bits wide.
        // forge-lint: disable-next-line(unsafe-typecast)
        return keccak256(abi.encodePacked(uint232(who), uint224(value), uint192(credits)));
    }

    /// @notice Whether a leaf hash stands at an index under a root.
    /// @param proof Sibling hashes from the leaf up; bit `k` of the index says on which side level `k` joins.
    function verify(bytes32 leafHash, uint256 index, bytes32[] calldata proof, bytes32 root)
        internal
        pure
        returns (bool)
    {
        (bytes32 node, uint256 rest) = _climb(leafHash, index, proof);
        // An index beyond the tree would be a second name for another position.
        return rest == 0 && node == root;
    }

    /// @notice As `verify`, against the first 28 bytes of a root.
    /// @dev To pass with a wrong leaf takes a second preimage of 224 bits.
    function verifyHead(bytes32 leafHash, uint256 index, bytes32[] calldata proof, bytes28 rootHead)
        internal
        pure
        returns (bool)
    {
        (bytes32 node, uint256 rest) = _climb(leafHash, index, proof);
        // Dropping the last four bytes is the meaning.
        // forge-lint: disable-next-line(unsafe-typecast)
        return rest == 0 && bytes28(node) == rootHead;
    }

    /// @notice Whether neighbouring leaves stand at `first`, `first + 1`, ... under a root.
    /// @dev Overwrites `hashes`. Per level at most two siblings are taken: one on the left, then one on the right.
    /// @param hashes Leaf hashes, at least one.
    /// @param proof Siblings, bottom-up, left before right; all must be used.
    /// @param depth Height of the tree: `ceil(log2(leaf count))`.
    function verifyRange(bytes32[] memory hashes, uint256 first, bytes32[] calldata proof, uint256 depth, bytes32 root)
        internal
        pure
        returns (bool)
    {
        uint256 count = hashes.length;
        if (count == 0 || depth > MAX_DEPTH || first + count > 2 ** depth) return false;

        uint256 used;
        for (uint256 level; level < depth; ++level) {
            // A right child comes first: its sibling is the proof's.
            uint256 from = first & 1;
            uint256 parents = from;
            if (from == 1) {
                if (used == proof.length) return false;
                hashes[0] = hashPair(proof[used++], hashes[0]);
            }
            // Parents are written over the children they came from: a parent never lies behind its first child.
            for (; from + 1 < count; from += 2) {
                hashes[parents++] = hashPair(hashes[from], hashes[from + 1]);
            }
            // A left child is left over: so is its sibling.
            if (from < count) {
                if (used == proof.length) return false;
                hashes[parents++] = hashPair(hashes[from], proof[used++]);
            }

            first >>= 1;
            count = parents;
        }
        return used == proof.length && hashes[0] == root;
    }

    /// @notice Hash of an inner node: keccak256 of its two children, left first.
    function hashPair(bytes32 left, bytes32 right) internal pure returns (bytes32 node) {
        // Scratch space instead of abi.encode: a twenty-level proof saves about 3,000 gas.
        assembly ("memory-safe") {
            mstore(0x00, left)
            mstore(0x20, right)
            node := keccak256(0x00, 0x40)
        }
    }

    /// @dev Hashes up the levels of a proof; `rest` is what the index has left above them.
    function _climb(bytes32 leafHash, uint256 index, bytes32[] calldata proof)
        private
        pure
        returns (bytes32 node, uint256 rest)
    {
        node = leafHash;
        rest = index;
        // Assembly for a measured need: bounds checks cost a claim 1,900 gas over twenty levels.
        // Each level writes node and sibling to scratch space, the node first when its bit of the index is 0.
        assembly ("memory-safe") {
            let end := add(proof.offset, shl(5, proof.length))
            for { let at := proof.offset } lt(at, end) { at := add(at, 0x20) } {
                let side := shl(5, and(rest, 1))
                mstore(side, node)
                mstore(xor(side, 0x20), calldataload(at))
                node := keccak256(0x00, 0x40)
                rest := shr(1, rest)
            }
        }
    }
}
