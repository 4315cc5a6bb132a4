// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {ICreditDistributor} from "../interfaces/ICreditDistributor.sol";
import {ICreditPayments} from "../interfaces/ICreditPayments.sol";
import {FeeSplit, IFeePool} from "../interfaces/IFeePool.sol";
import {IMemberRegistry} from "../interfaces/IMemberRegistry.sol";
import {EpochHeader} from "../interfaces/IRateOracle.sol";
import {AccountLeaf} from "../libraries/EpochTree.sol";
import {System} from "./System.sol";

/// @title CreditsTest: claims, links, payments and fees
contract CreditsTest is System {
    uint256 private constant MEMBERS = 5;
    uint64 private constant GRANT = 1_000_000;

    /// @dev The third account is a placeholder: "timebank" and twelve bytes.
    address private constant PLACEHOLDER = 0x74696D6562616E6B000000000000000000000001;

    AccountLeaf[] private _leaves;
    bytes32[][] private _levels;
    EpochHeader private _header;

    function setUp() public {
        deploySystem();
    }

    /* CLAIM */

    function test_ClaimPaysTheAccountWhoeverSendsIt() public {
        _finalise(0);
        vm.expectEmit();
        emit ICreditDistributor.Claimed(_account(0), _account(0), 1, GRANT, GRANT);
        vm.prank(stranger);
        equal(_claim(0), GRANT, "minted");
        equal(credit.balanceOf(_account(0)), GRANT, "balance");
        equal(distributor.claimed(_account(0)), GRANT, "claimed");
    }

    function test_OneProofPaysAllEpochsMissed() public {
        _finalise(0);
        _finalise(0);
        _finalise(0);
        equal(_claim(1), 3 * GRANT, "minted");
    }

    function test_RevertWhen_ClaimedTwice() public {
        _finalise(0);
        _claim(0);
        vm.expectRevert(abi.encodeWithSelector(ICreditDistributor.NothingToClaim.selector, _account(0), GRANT));
        _claim(0);
    }

    function test_RevertWhen_NoEpochIsFinalised() public {
        AccountLeaf memory leaf;
        vm.expectRevert(abi.encodeWithSelector(ICreditDistributor.NoEpochFinalised.selector));
        distributor.claim(leaf, new bytes32[](0));
    }

    function test_RevertWhen_ProvedAgainstAnOlderEpoch() public {
        _finalise(0);
        AccountLeaf memory leaf = _leaves[0];
        bytes32[] memory proof = proofOf(_levels, 0);
        _finalise(0);
        _refused(leaf, proof);
    }

    function testFuzz_RevertWhen_AnyFieldOfTheLeafDiffers(uint8 field, uint8 bit) public {
        _finalise(0);
        AccountLeaf memory leaf = _leaves[1];
        // Safe casts because one bit inside the field's width is set.
        // forge-lint: disable-start(unsafe-typecast)
        uint64 flip = uint64(2 ** (bit % 64));
        uint32 flip32 = uint32(2 ** (bit % 32));
        // forge-lint: disable-end(unsafe-typecast)
        field %= 10;
        if (field == 0) leaf.index ^= flip32;
        else if (field == 1) leaf.account = address(uint160(leaf.account) ^ uint160(2 ** (bit % 160)));
        else if (field == 2) leaf.activityEnd ^= flip32;
        else if (field == 3) leaf.earned ^= flip;
        else if (field == 4) leaf.runningEarned ^= flip;
        else if (field == 5) leaf.runningActive ^= flip32;
        else if (field == 6) leaf.standing ^= flip;
        else if (field == 7) leaf.mint ^= flip;
        else if (field == 8) leaf.runningMint ^= flip;
        else leaf.cumulativeMint ^= flip;
        _refused(leaf, proofOf(_levels, 1));
    }

    function test_AnEmptyEpochPaysNobody() public {
        proposeAndFinalise(nextHeader(bytes32(0), 0, 0, 0));
        AccountLeaf memory leaf;
        _refused(leaf, new bytes32[](0));
        leaf.index = 1;
        _refused(leaf, new bytes32[](0));
    }

    /* CLAIM MANY */

    function testFuzz_NeighboursClaimTogether(uint8 from, uint8 length) public {
        _finalise(0);
        uint256 first = from % MEMBERS;
        uint256 count = within(length, 1, MEMBERS - first);
        // Nobody is linked to the placeholder at position 2: it is skipped.
        uint256 expected = GRANT * (first <= 2 && 2 < first + count ? count - 1 : count);
        equal(_claimMany(first, count), expected, "minted");
        equal(credit.totalSupply(), expected, "supply");
        equal(_claimMany(first, count), 0, "minted again");
    }

    function test_RevertWhen_TheRangeIsBroken() public {
        _finalise(0);
        vm.expectRevert(abi.encodeWithSelector(ICreditDistributor.NoLeaves.selector));
        distributor.claimMany(new AccountLeaf[](0), new bytes32[](0), 3);

        AccountLeaf[] memory leaves = new AccountLeaf[](2);
        leaves[0] = _leaves[0];
        leaves[1] = _leaves[2];
        vm.expectRevert(abi.encodeWithSelector(ICreditDistributor.LeavesNotContiguous.selector, 2, 1));
        distributor.claimMany(leaves, new bytes32[](0), 3);

        leaves[1] = _leaves[1];
        leaves[1].cumulativeMint *= 2;
        bytes32[] memory proof = rangeProofOf(_levels, 0, 2);
        vm.expectRevert(abi.encodeWithSelector(ICreditDistributor.LeafNotInRoot.selector, 0, _header.accountRoot));
        distributor.claimMany(leaves, proof, 3);
    }

    /* LINKS */

    function test_LinkedPlaceholderPaysItsWallet() public {
        _finalise(0);
        vm.expectRevert(abi.encodeWithSelector(ICreditDistributor.NotLinked.selector, PLACEHOLDER));
        _claim(2);

        vm.prank(registrar);
        registry.requestLink(PLACEHOLDER, stranger);
        uint256 effectiveAt = block.timestamp + LINK_DELAY;
        vm.expectRevert(
            abi.encodeWithSelector(IMemberRegistry.TooEarly.selector, PLACEHOLDER, effectiveAt, block.timestamp)
        );
        registry.confirmLink(PLACEHOLDER);
        vm.warp(effectiveAt);
        registry.confirmLink(PLACEHOLDER);

        _claim(2);
        equal(credit.balanceOf(stranger), GRANT, "the wallet's balance");
        equal(distributor.claimed(PLACEHOLDER), GRANT, "claimed by the placeholder");
        vm.expectRevert(abi.encodeWithSelector(IMemberRegistry.AlreadyLinked.selector, PLACEHOLDER, stranger));
        vm.prank(registrar);
        registry.requestLink(PLACEHOLDER, proposer);
    }

    function test_WalletAndCancellerCanRejectAndNobodyElse() public {
        for (uint256 i; i < 2; ++i) {
            vm.prank(registrar);
            registry.requestLink(PLACEHOLDER, stranger);
            vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, proposer));
            vm.prank(proposer);
            registry.rejectLink(PLACEHOLDER);
            vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, guardian));
            vm.prank(guardian);
            registry.rejectLink(PLACEHOLDER);
            vm.prank(i == 0 ? stranger : canceller);
            registry.rejectLink(PLACEHOLDER);
            vm.warp(block.timestamp + LINK_DELAY);
            vm.expectRevert(abi.encodeWithSelector(IMemberRegistry.NotRequested.selector, PLACEHOLDER));
            registry.confirmLink(PLACEHOLDER);
        }
        vm.expectRevert(abi.encodeWithSelector(IMemberRegistry.NotRequested.selector, PLACEHOLDER));
        vm.prank(canceller);
        registry.rejectLink(PLACEHOLDER);
    }

    function test_RevertWhen_TheLinkIsBad() public {
        _requestRefused(stranger, stranger, abi.encodeWithSelector(IMemberRegistry.NotPlaceholder.selector, stranger));
        _requestRefused(PLACEHOLDER, address(0), abi.encodeWithSelector(IMemberRegistry.NotWallet.selector, address(0)));
        _requestRefused(
            PLACEHOLDER, PLACEHOLDER, abi.encodeWithSelector(IMemberRegistry.NotWallet.selector, PLACEHOLDER)
        );
        vm.prank(registrar);
        registry.requestLink(PLACEHOLDER, stranger);
        _requestRefused(
            PLACEHOLDER,
            proposer,
            abi.encodeWithSelector(IMemberRegistry.AlreadyRequested.selector, PLACEHOLDER, stranger)
        );
    }

    /* PAYMENTS AND FEES */

    function testFuzz_PaymentSplitsTheAmountAndTheFee(uint256 amount) public {
        _finalise(0);
        _claim(0);
        amount = within(amount, 2, GRANT);
        address payer = _account(0);
        vm.prank(payer);
        credit.approve(address(payments), amount);
        (uint256 fee, uint256 received) = payments.quote(amount);
        equal(fee, (amount * FEE_BPS + 9_999) / 10_000, "fee rounded up");
        vm.prank(payer);
        equal(payments.pay(stranger, amount, "memo"), received, "received");
        equal(credit.balanceOf(payer), GRANT - amount, "the payer's balance");
        equal(credit.balanceOf(stranger), amount - fee, "the payee's balance");
        equal(feePool.depositors() + feePool.bonus() + feePool.reserve(), fee, "booked fees");
        equal(feePool.bonus(), fee * 3_000 / 10_000, "the bonus");
    }

    function test_PermitPaysAlsoWhenSomebodySubmittedIt() public {
        address payer = vm.addr(7);
        _fund(payer);
        (uint8 v, bytes32 r, bytes32 s) = _permit(7, GRANT / 2);
        vm.prank(payer);
        payments.payWithPermit(stranger, GRANT / 2, "", block.timestamp, v, r, s);
        (v, r, s) = _permit(7, GRANT / 2);
        credit.permit(payer, address(payments), GRANT / 2, block.timestamp, v, r, s);
        vm.prank(payer);
        payments.payWithPermit(stranger, GRANT / 2, "", block.timestamp, v, r, s);
        equal(credit.balanceOf(payer), 0, "the payer's balance");
    }

    function test_RevertWhen_ThePaymentIsBad() public {
        address payer = vm.addr(7);
        _fund(payer);
        _payRefused(payer, stranger, 0, abi.encodeWithSelector(ICreditPayments.ZeroAmount.selector));
        _payRefused(payer, payer, 5, abi.encodeWithSelector(ICreditPayments.PayeeIsPayer.selector, payer));
        _payRefused(payer, stranger, 1, abi.encodeWithSelector(ICreditPayments.NothingReceived.selector, 1, 1));
        _payRefused(
            payer,
            stranger,
            1000,
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(payments), 0, 995)
        );
    }

    function test_PotIsBurnedFromTheBonus() public {
        address payer = vm.addr(7);
        _fund(payer);
        vm.prank(payer);
        require(credit.transfer(address(feePool), 1_000));
        feePool.sync();
        equal(feePool.bonus(), 300, "bonus");
        uint256 supply = credit.totalSupply();
        _finalise(300);
        equal(feePool.bonus(), 0, "bonus after the epoch");
        equal(credit.totalSupply(), supply - 300, "supply");
    }

    function test_SettingsHaveLimitsAndOwners() public {
        vm.expectRevert(abi.encodeWithSelector(ICreditPayments.FeeTooHigh.selector, 1_001, 1_000));
        vm.prank(governor);
        payments.setFee(1_001);
        vm.expectRevert(abi.encodeWithSelector(IFeePool.SplitNotWhole.selector, 9_999));
        vm.prank(governor);
        feePool.setSplit(FeeSplit(5_000, 3_000, 1_999));
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, stranger));
        vm.prank(stranger);
        payments.setFee(0);
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, stranger));
        vm.prank(stranger);
        feePool.setSplit(FeeSplit(0, 0, 10_000));
        vm.prank(governor);
        payments.setFee(0);
        vm.prank(governor);
        feePool.setSplit(FeeSplit(0, 0, 10_000));
        equal(payments.feeBps() + feePool.split().bonusBps, 0, "settings");
    }

    /* STEPS */

    function _account(uint256 i) private pure returns (address) {
        // Safe cast because the sum is small.
        // forge-lint: disable-next-line(unsafe-typecast)
        return i == 2 ? PLACEHOLDER : address(uint160(0x1000 + i));
    }

    /// @dev One more epoch that grants every member the same.
    function _finalise(uint64 pot) private {
        address[] memory accounts = new address[](MEMBERS);
        uint64[] memory minted = new uint64[](MEMBERS);
        uint64[] memory cumulative = new uint64[](MEMBERS);
        for (uint256 i; i < MEMBERS; ++i) {
            accounts[i] = _account(i);
            minted[i] = GRANT;
            cumulative[i] = GRANT * (oracle.latestEpoch() + 1);
        }
        _finaliseLeaves(leavesOf(accounts, minted, cumulative), pot);
    }

    function _fund(address account) private {
        address[] memory accounts = new address[](1);
        uint64[] memory minted = new uint64[](1);
        accounts[0] = account;
        minted[0] = GRANT;
        _finaliseLeaves(leavesOf(accounts, minted, minted), 0);
        _claim(0);
    }

    function _finaliseLeaves(AccountLeaf[] memory leaves, uint64 pot) private {
        delete _leaves;
        for (uint256 i; i < leaves.length; ++i) {
            _leaves.push(leaves[i]);
        }
        _levels = levelsOf(hashesOf(leaves));
        // Safe cast because the tests use a handful of leaves.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint32 count = uint32(leaves.length);
        _header = nextHeader(rootOf(_levels), count, leaves[count - 1].runningMint, pot);
        proposeAndFinalise(_header);
    }

    function _claim(uint256 i) private returns (uint256) {
        return distributor.claim(_leaves[i], proofOf(_levels, i));
    }

    function _claimMany(uint256 first, uint256 count) private returns (uint256) {
        AccountLeaf[] memory leaves = new AccountLeaf[](count);
        for (uint256 i; i < count; ++i) {
            leaves[i] = _leaves[first + i];
        }
        return distributor.claimMany(leaves, rangeProofOf(_levels, first, count), _levels.length - 1);
    }

    function _refused(AccountLeaf memory leaf, bytes32[] memory proof) private {
        vm.expectRevert(
            abi.encodeWithSelector(ICreditDistributor.LeafNotInRoot.selector, leaf.index, distributor.accountRoot())
        );
        distributor.claim(leaf, proof);
    }

    function _requestRefused(address placeholder, address wallet, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(registrar);
        registry.requestLink(placeholder, wallet);
    }

    function _payRefused(address payer, address payee, uint256 amount, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(payer);
        payments.pay(payee, amount, "");
    }

    function _permit(uint256 key, uint256 amount) private view returns (uint8, bytes32, bytes32) {
        address owner = vm.addr(key);
        bytes32 permit = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                owner,
                address(payments),
                amount,
                credit.nonces(owner),
                block.timestamp
            )
        );
        return vm.sign(key, keccak256(abi.encodePacked(hex"1901", credit.DOMAIN_SEPARATOR(), permit)));
    }
}
