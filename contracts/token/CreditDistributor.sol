// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {CreditParameters, IAttentionCredit} from "../interfaces/IAttentionCredit.sol";
import {IClaimCreditor} from "../interfaces/IClaimCreditor.sol";
import {ICreditDistributor} from "../interfaces/ICreditDistributor.sol";
import {FeeSplit, IFeePool} from "../interfaces/IFeePool.sol";
import {IMemberRegistry} from "../interfaces/IMemberRegistry.sol";
import {ITimeBank} from "../interfaces/ITimeBank.sol";
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

    /// @dev An account's claims, and what stands between them and the wallet, in one slot: a claim without pledge or
    /// order reads and writes no other.
    struct ClaimRecord {
        uint64 claimed;
        /// `NOBODY`, `LENDING` or `LEASE`.
        uint8 creditor;
        bool hasOrder;
        uint16 orderTermId;
    }

    uint8 private constant NOBODY = 0;
    uint8 private constant LENDING = 1;
    uint8 private constant LEASE = 2;

    /// @inheritdoc ICreditDistributor
    address public immutable authority;

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

    mapping(address account => ClaimRecord) private _records;

    /// @inheritdoc ICreditDistributor
    address public timeBank;

    /// @inheritdoc ICreditDistributor
    address public lending;

    /// @inheritdoc ICreditDistributor
    address public lease;

    constructor(
        address manager,
        IMemberRegistry memberRegistry,
        CreditParameters memory creditParameters,
        FeeSplit memory feeSplit
    ) {
        authority = manager;
        oracle = msg.sender;
        registry = memberRegistry;
        credit = new AttentionCredit(creditParameters);
        feePool = new FeePool(manager, credit, address(this), feeSplit);
    }

    /* CLAIMS */

    /// @inheritdoc ICreditDistributor
    function claim(AccountLeaf calldata leaf, bytes32[] calldata proof) external returns (uint256 minted) {
        // Where the first argument always is. Saying so spares the claim 600 gas: the optimizer forgets it in the decoder
        // that `isLatestLeaf` shares, and then reads each field through a pointer.
        assembly ("memory-safe") {
            leaf := 4
        }
        Latest memory latest = _latest;
        require(latest.epoch != 0, NoEpochFinalised());
        // Not require(), here and below: it would read the storage for its message also when all is well.
        if (!EpochTree.verifyHead(EpochTree.hashAccount(leaf), leaf.index, proof, latest.rootHead)) {
            revert LeafNotInRoot(leaf.index, accountRoot);
        }

        address receiver = receiverOf(leaf.account);
        require(receiver != address(0), NotLinked(leaf.account));
        minted = _claim(leaf, receiver, latest.epoch);
        if (minted == 0) revert NothingToClaim(leaf.account, _records[leaf.account].claimed);
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
            address receiver = receiverOf(leaves[i].account);
            if (receiver != address(0)) minted += _claim(leaves[i], receiver, latest);
        }
    }

    /* STANDING ORDERS */

    /// @inheritdoc ICreditDistributor
    function setStandingOrder(address account, uint16 termId) external {
        _requireHolder(account, msg.sender);
        address bank = timeBank;
        require(bank != address(0), RoomsNotSet());
        // For its refusal of a term that does not exist.
        ITimeBank(bank).termOf(termId);

        ClaimRecord storage record = _records[account];
        record.hasOrder = true;
        record.orderTermId = termId;
        emit StandingOrderSet(account, true, termId);
    }

    /// @inheritdoc ICreditDistributor
    function endStandingOrder(address account) external {
        _requireHolder(account, msg.sender);

        ClaimRecord storage record = _records[account];
        record.hasOrder = false;
        record.orderTermId = 0;
        emit StandingOrderSet(account, false, 0);
    }

    /* PLEDGES */

    /// @inheritdoc ICreditDistributor
    function pledgeClaims(address account, address wallet) external {
        uint8 creditor = _requireCreditor();
        _requireHolder(account, wallet);
        _requireNoOther(account, creditor);
        _requireNoOther(wallet, creditor);

        _records[account].creditor = creditor;
        _records[wallet].creditor = creditor;
        emit ClaimsPledgeSet(account, wallet, msg.sender);
    }

    /// @inheritdoc ICreditDistributor
    function releaseClaims(address account, address wallet) external {
        uint8 creditor = _requireCreditor();
        _requireNoOther(account, creditor);
        _requireNoOther(wallet, creditor);

        _records[account].creditor = NOBODY;
        _records[wallet].creditor = NOBODY;
        emit ClaimsPledgeSet(account, wallet, address(0));
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

    /* SETTINGS */

    /// @inheritdoc ICreditDistributor
    function setRooms(address newTimeBank, address newLending, address newLease) external {
        // Asked once in the contract's life: AccessManaged would be code and a slot for it.
        (bool allowed,) = IAccessManager(authority).canCall(msg.sender, address(this), msg.sig);
        require(allowed, NotAdministrator(msg.sender));
        require(timeBank == address(0), RoomsFixed(timeBank, lending, lease));
        require(
            newTimeBank != address(0) && newLending != address(0) && newLease != address(0),
            RoomsFixed(newTimeBank, newLending, newLease)
        );

        timeBank = newTimeBank;
        lending = newLending;
        lease = newLease;
        emit RoomsSet(newTimeBank, newLending, newLease);
    }

    /* VIEWS */

    /// @inheritdoc ICreditDistributor
    function epoch() external view returns (uint32) {
        return _latest.epoch;
    }

    /// @inheritdoc ICreditDistributor
    function claimed(address account) external view returns (uint256) {
        return _records[account].claimed;
    }

    /// @inheritdoc ICreditDistributor
    function creditorOf(address account) external view returns (address) {
        return _addressOf(_records[account].creditor);
    }

    /// @inheritdoc ICreditDistributor
    function standingOrderOf(address account) external view returns (bool active, uint256 termId) {
        ClaimRecord storage record = _records[account];
        return (record.hasOrder, record.orderTermId);
    }

    /// @inheritdoc ICreditDistributor
    function receiverOf(address account) public view returns (address) {
        // Only placeholders cost a call.
        return Placeholder.isPlaceholder(account) ? registry.walletOf(account) : account;
    }

    /// @inheritdoc ICreditDistributor
    function isLatestLeaf(AccountLeaf calldata leaf, bytes32[] calldata proof) external view returns (bool) {
        // Before the first epoch the root is zero, and no hash is.
        return EpochTree.verify(EpochTree.hashAccount(leaf), leaf.index, proof, accountRoot);
    }

    /// @dev The address a record's `creditor` stands for.
    function _addressOf(uint8 creditor) private view returns (address) {
        if (creditor == LENDING) return lending;
        if (creditor == LEASE) return lease;
        return address(0);
    }

    /* CHECKS */

    function _requireHolder(address account, address wallet) private view {
        // A placeholder without a wallet has the zero address for a receiver, which holds nothing.
        require(wallet != address(0) && receiverOf(account) == wallet, NotAccountHolder(account, wallet));
    }

    /// @dev The caller as a record's `creditor`.
    function _requireCreditor() private view returns (uint8) {
        if (msg.sender == lending) return LENDING;
        require(msg.sender == lease, NotCreditor(msg.sender));
        return LEASE;
    }

    function _requireNoOther(address account, uint8 creditor) private view {
        uint8 holder = _records[account].creditor;
        if (holder != NOBODY && holder != creditor) revert ClaimsPledged(account, _addressOf(holder));
    }

    /* ROUTING */

    /// @dev Mints what of a proven leaf is not claimed yet; 0 when nothing is. A cumulative mint never falls from one
    /// honest epoch to the next; should it, the account waits until it is above what was claimed.
    function _claim(AccountLeaf calldata leaf, address receiver, uint32 latest) private returns (uint256 amount) {
        ClaimRecord storage record = _records[leaf.account];
        uint64 before = record.claimed;
        uint64 cumulative = leaf.cumulativeMint;
        if (cumulative <= before) return 0;

        amount = cumulative - before;
        record.claimed = cumulative;
        emit Claimed(leaf.account, receiver, latest, amount, cumulative);

        uint8 creditor = record.creditor;
        // What a placeholder earned repays the debt of its wallet, whichever account the debt was made on.
        if (creditor == NOBODY && receiver != leaf.account) creditor = _records[receiver].creditor;
        bool hasOrder = record.hasOrder;
        if (creditor == NOBODY && !hasOrder) credit.mint(receiver, amount);
        else _route(leaf.account, receiver, amount, creditor, hasOrder, record.orderTermId);
    }

    /// @dev Mints a claim to the creditor, the time bank and the receiver. Nothing is written here after the first call:
    /// a creditor that is paid off frees the claims while it books the repayment.
    function _route(address account, address receiver, uint256 amount, uint8 creditorId, bool hasOrder, uint16 termId)
        private
    {
        address creditor = _addressOf(creditorId);
        uint256 toCreditor;
        if (creditor != address(0)) toCreditor = Math.min(IClaimCreditor(creditor).dueFromClaims(receiver), amount);
        uint256 rest = amount - toCreditor;
        uint256 toDeposit = hasOrder ? rest : 0;

        if (toCreditor != 0) {
            credit.mint(creditor, toCreditor);
            IClaimCreditor(creditor).repayFromClaim(receiver, toCreditor);
        }
        uint256 depositId;
        if (toDeposit != 0) {
            address bank = timeBank;
            credit.mint(bank, toDeposit);
            depositId = ITimeBank(bank).depositClaim(receiver, toDeposit, termId);
        } else if (rest != 0) {
            credit.mint(receiver, rest);
        }
        if (toCreditor != 0 || toDeposit != 0) {
            emit ClaimRouted(account, creditor, toCreditor, depositId, toDeposit);
        }
    }
}
