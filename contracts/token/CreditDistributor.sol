// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {CreditParameters, IAttentionCredit} from "../interfaces/IAttentionCredit.sol";
import {ICreditDistributor} from "../interfaces/ICreditDistributor.sol";
import {FeeSplit, IFeePool} from "../interfaces/IFeePool.sol";
import {IMemberRegistry} from "../interfaces/IMemberRegistry.sol";
import {AccountLeaf, EpochTree} from "../libraries/EpochTree.sol";
import {Placeholder} from "../libraries/Placeholder.sol";
import {AttentionCredit} from "./AttentionCredit.sol";
import {FeePool} from "./FeePool.sol";

/// @title CreditDistributor
/// @notice Created by the oracle; creates the credit and the fee pool.
contract CreditDistributor is ICreditDistributor {
    /// @dev Number and root of the latest epoch in one slot, for `claim`: a second slot would cost each claim 2,100
    /// gas. Who could forge a leaf against 224 bits of a root could forge signatures with far less.
    struct Latest {
        uint32 epoch;
        bytes28 rootHead;
    }

    /// @inheritdoc ICreditDistributor
    address public immutable oracle;

    /// @inheritdoc ICreditDistributor
    IAttentionCredit public immutable credit;

    /// @inheritdoc ICreditDistributor
    IFeePool public immutable feePool;

    /// @inheritdoc ICreditDistributor
    IMemberRegistry public immutable registry;

    /// @inheritdoc ICreditDistributor
    bytes32 public accountRoot;

    Latest private _latest;

    /// @inheritdoc ICreditDistributor
    mapping(address account => uint256) public claimed;

    constructor(
        address manager,
        IMemberRegistry memberRegistry,
        CreditParameters memory creditParameters,
        FeeSplit memory feeSplit
    ) {
        oracle = msg.sender;
        registry = memberRegistry;
        credit = new AttentionCredit(creditParameters);
        feePool = new FeePool(manager, credit, address(this), feeSplit);
    }

    /* CLAIMS */

    /// @inheritdoc ICreditDistributor
    function claim(AccountLeaf calldata leaf, bytes32[] calldata proof) external returns (uint256 minted) {
        Latest memory latest = _latest;
        require(latest.epoch != 0, NoEpochFinalised());
        // Not require(), here and below: it would read the storage for its message also when all is well.
        if (!EpochTree.verifyHead(EpochTree.hashAccount(leaf), leaf.index, proof, latest.rootHead)) {
            revert LeafNotInRoot(leaf.index, accountRoot);
        }

        address receiver = _receiverOf(leaf.account);
        require(receiver != address(0), NotLinked(leaf.account));
        minted = _claim(leaf, receiver, latest.epoch);
        if (minted == 0) revert NothingToClaim(leaf.account, claimed[leaf.account]);
    }

    /// @inheritdoc ICreditDistributor
    function claimMany(AccountLeaf[] calldata leaves, bytes32[] calldata proof, uint256 depth)
        external
        returns (uint256 minted)
    {
        uint32 latest = _latest.epoch;
        bytes32 root = accountRoot;
        require(latest != 0, NoEpochFinalised());
        require(leaves.length != 0, NoLeaves());

        uint256 first = leaves[0].index;
        bytes32[] memory hashes = new bytes32[](leaves.length);
        for (uint256 i; i < leaves.length; ++i) {
            require(leaves[i].index == first + i, LeavesNotContiguous(leaves[i].index, first + i));
            hashes[i] = EpochTree.hashAccount(leaves[i]);
        }
        require(EpochTree.verifyRange(hashes, first, proof, depth, root), LeafNotInRoot(leaves[0].index, root));

        for (uint256 i; i < leaves.length; ++i) {
            address receiver = _receiverOf(leaves[i].account);
            if (receiver != address(0)) minted += _claim(leaves[i], receiver, latest);
        }
    }

    /* ROOTS */

    /// @inheritdoc ICreditDistributor
    function acceptRoot(uint32 newEpoch, bytes32 newRoot, uint256 totalMint, uint256 pot) external {
        require(msg.sender == oracle, NotOracle(msg.sender, oracle));

        // Dropping the last four bytes is the meaning.
        // forge-lint: disable-next-line(unsafe-typecast)
        _latest = Latest(newEpoch, bytes28(newRoot));
        accountRoot = newRoot;
        emit RootAccepted(newEpoch, newRoot, totalMint, pot);

        feePool.burnPot(newEpoch, pot);
    }

    /* VIEWS */

    /// @inheritdoc ICreditDistributor
    function epoch() external view returns (uint32) {
        return _latest.epoch;
    }

    /// @dev Who gets what an account earned; zero for a placeholder without a wallet. Only placeholders cost a call.
    function _receiverOf(address account) private view returns (address) {
        return Placeholder.isPlaceholder(account) ? registry.walletOf(account) : account;
    }

    /// @dev Mints what of a proven leaf is not claimed yet; 0 when nothing is. A cumulative mint never falls from one
    /// honest epoch to the next; should it, the account waits until it is above what was claimed.
    function _claim(AccountLeaf calldata leaf, address receiver, uint32 latest) private returns (uint256 amount) {
        uint256 before = claimed[leaf.account];
        uint256 cumulative = leaf.cumulativeMint;
        if (cumulative <= before) return 0;

        amount = cumulative - before;
        claimed[leaf.account] = cumulative;
        emit Claimed(leaf.account, receiver, latest, amount, cumulative);
        credit.mint(receiver, amount);
    }
}
