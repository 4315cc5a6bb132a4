// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC20Errors, IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {IAttentionCredit} from "../interfaces/IAttentionCredit.sol";
import {ICreditDistributor} from "../interfaces/ICreditDistributor.sol";
import {ICreditLease, Lease, LeaseOffer} from "../interfaces/ICreditLease.sol";
import {ICreditLending} from "../interfaces/ICreditLending.sol";
import {ITimeBank} from "../interfaces/ITimeBank.sol";
import {CreditLease} from "../lending/CreditLease.sol";
import {AccountLeaf} from "../libraries/EpochTree.sol";
import {Policy, PolicyHash} from "../libraries/Policy.sol";
import {System} from "./System.sol";

/// @title ContractWallet: a lender that is a contract and signs by ERC-1271, well or badly
contract ContractWallet is IERC1271 {
    enum Answer {
        OfItsOwner,
        Yes,
        No,
        Revert,
        TooShort
    }

    address private immutable _owner;
    Answer public answer;

    error Unwilling();

    constructor(address owner, IAttentionCredit credit, address spender) {
        _owner = owner;
        credit.approve(spender, type(uint256).max);
    }

    function setAnswer(Answer newAnswer) external {
        answer = newAnswer;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        require(answer != Answer.Revert, Unwilling());
        if (answer == Answer.TooShort) {
            assembly {
                mstore(0, shl(224, 0x1626ba7e))
                return(0, 4)
            }
        }
        bool valid = answer == Answer.Yes;
        if (answer == Answer.OfItsOwner) {
            (bytes32 r, bytes32 s) = abi.decode(signature[:64], (bytes32, bytes32));
            valid = ecrecover(digest, uint8(signature[64]), r, s) == _owner;
        }
        return valid ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }
}

/// @title LeaseStage: a lender, a lessee, offers and receipts
abstract contract LeaseStage is System {
    uint64 internal constant AMOUNT = 50_000_000;
    uint64 internal constant MIN_TAKE = 1_000_000;
    uint64 internal constant RENT = 400_001;
    uint32 internal constant LEASE_TERM = 7 days;
    uint16 internal constant LEASE_FEE_BPS = 1_000;
    uint256 internal constant LENDER_KEY = uint256(keccak256("lender"));

    /// @dev "timebank" and twelve bytes.
    address internal constant PLACEHOLDER = 0x74696D6562616E6B000000000000000000000001;

    address internal lender = vm.addr(LENDER_KEY);
    address internal lessee = address(0x1e55ee);

    ICreditLease internal lease;

    AccountLeaf[] internal leaves;
    bytes32[][] internal levels;

    function deployBank() internal {
        deploySystem();
        lease = CreditLease(ship("CreditLease", abi.encode(address(manager), lending, LEASE_FEE_BPS)));
        setRooms(address(timeBank), address(lending), address(lease));
        bytes4[] memory selectors = new bytes4[](2);
        selectors[0] = lease.setLeaseFee.selector;
        selectors[1] = lease.resumeLeasing.selector;
        manager.setTargetFunctionRole(address(lease), selectors, GOVERNOR);
        selectors = new bytes4[](1);
        selectors[0] = lease.pauseLeasing.selector;
        manager.setTargetFunctionRole(address(lease), selectors, GUARDIAN);
        acceptPolicy(1);
    }

    /// @dev A policy with a mean lifetime of thirty days, in force and known to the pool.
    function acceptPolicy(uint32 version) internal {
        Policy memory policy = policyOf("thirty days", version, 40_106_919);
        setPolicy(policy);
        lending.acceptPolicy(PolicyHash.headOf(policy));
    }

    /// @dev An epoch that grants as much to lessee, stranger and placeholder; standing is all that was ever granted.
    function finaliseEpoch(uint64 grant) internal {
        address[] memory accounts = new address[](3);
        (accounts[0], accounts[1], accounts[2]) = (lessee, stranger, PLACEHOLDER);
        uint64[] memory minted = new uint64[](3);
        uint64[] memory cumulative = new uint64[](3);
        for (uint256 i; i < 3; ++i) {
            minted[i] = grant;
            cumulative[i] = grant + (leaves.length == 0 ? 0 : leaves[i].cumulativeMint);
        }
        vm.warp(block.timestamp + 1);
        AccountLeaf[] memory next = leavesOf(accounts, minted, cumulative);
        delete leaves;
        for (uint256 i; i < 3; ++i) {
            leaves.push(next[i]);
        }
        levels = levelsOf(hashesOf(next));
        proposeAndFinalise(nextHeader(rootOf(levels), 3, 3 * grant, 0));
    }

    function takeOnStanding(LeaseOffer memory offer, uint256 amount) internal returns (uint256 leaseId) {
        bytes memory signature = signatureOf(offer);
        AccountLeaf memory leaf = leaves[0];
        bytes32[] memory proof = proofOf(levels, 0);
        vm.prank(lessee);
        return lease.takeOnStanding(offer, signature, amount, leaf, proof);
    }

    function fund(address to, uint256 amount) internal {
        vm.prank(address(distributor));
        credit.mint(to, amount);
    }

    function approve(address owner, address spender, uint256 amount) internal {
        vm.prank(owner);
        credit.approve(spender, amount);
    }

    function offerOf(uint64 amount, uint64 rent) internal view returns (LeaseOffer memory offer) {
        offer.lender = lender;
        offer.amount = amount;
        offer.minTake = 1;
        offer.rent = rent;
        offer.term = LEASE_TERM;
        offer.onStanding = true;
        // The tests' clock stays far below 2^40 seconds.
        // forge-lint: disable-next-line(unsafe-typecast)
        offer.expiresAt = uint40(block.timestamp + 1 days);
        offer.series = lease.seriesOf(lender);
    }

    function usualOffer() internal view returns (LeaseOffer memory offer) {
        offer = offerOf(AMOUNT, RENT);
        offer.minTake = MIN_TAKE;
    }

    function signatureOf(LeaseOffer memory offer, uint256 key) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, lease.hashOffer(offer));
        return abi.encodePacked(r, s, v);
    }

    function signatureOf(LeaseOffer memory offer) internal view returns (bytes memory) {
        return signatureOf(offer, LENDER_KEY);
    }

    /// @dev A receipt of the owner, approved for the lease.
    function receiptOf(address owner, uint256 amount, uint16 termId) internal returns (uint256 id) {
        fund(owner, amount);
        approve(owner, address(timeBank), amount);
        vm.prank(owner);
        id = timeBank.deposit(amount, termId, owner);
        vm.prank(owner);
        timeBank.approve(address(lease), id);
    }

    function take(LeaseOffer memory offer, uint256 amount, uint256 receiptId) internal returns (uint256 leaseId) {
        bytes memory signature = signatureOf(offer);
        vm.prank(lessee);
        return lease.take(offer, signature, amount, receiptId);
    }

    /// @dev ceil(a * b / c), written another way than the contract's.
    function divUp(uint256 a, uint256 b, uint256 c) internal pure returns (uint256) {
        return (a * b + c - 1) / c;
    }
}

/// @title CreditLeaseTest
/// @notice What is promised, and what is refused:
///
/// take
/// |- pays the lessee, keeps the receipt, books the lease; the checks come in their order
/// |- in parts down to the last odd one; rent rounded up; never beyond the amount
/// |- at the last second; for one lessee; on a receipt worth exactly what is owed; of dust; without rent
/// |- offers that cannot be; expired, other series, cancelled, for another, one's own
/// |- signatures: foreign, malleable, short, of another chain or contract, over any other field
/// |- contract wallets: asked each time; no, too short or reverting answers are refused
/// `- receipts: none, another's, pledged to the pool or here, too small, not approved; in custody nobody moves it
/// repay: whole, by anybody, never more than owed, late; in part, nothing, twice, without an allowance -> refused
/// settle: after the due day, early or mature, a year late; never before; pays the lender first when income was taxed
/// forgive, cancel, cancelAll: only the lender; what was taken goes on
/// standing
/// |- pays and pledges; one lease, one creditor; within the limit
/// |- stale, foreign or changed leaf, unlinked placeholder, offer without standing -> refused
/// |- before the due day claims are the lessee's; after it they repay, and are free when all is paid
/// |- the fee is the same however the rent is split
/// `- repayment from claims is the distributor's alone
/// settings: by role, bounded, for later leases; pausing stops taking and nothing else
/// hash: EIP-712 as an independent encoder writes it; dirty words are refused
contract CreditLeaseTest is LeaseStage {
    /// @dev Of `_vector`, by eth-account: tests/chain/test_lease_offers.py compares.
    bytes32 private constant VECTOR_STRUCT_HASH = 0x2286cbae04d097bb4ba00107c7cc9d4115b2cca0698bd1b540169da439e6e0b9;

    uint256 private _receipt;

    function setUp() public {
        deployBank();
        fund(lender, 10 * AMOUNT);
        approve(lender, address(lease), type(uint256).max);
        _receipt = receiptOf(lessee, 2 * AMOUNT, DEMAND);
    }

    /* TAKE */

    function test_TakePaysTheLesseeAndKeepsTheReceipt() public {
        LeaseOffer memory offer = usualOffer();
        bytes memory signature = signatureOf(offer);
        uint256 dueAt = block.timestamp + LEASE_TERM;

        vm.expectEmit();
        emit ICreditLease.LeaseTaken(
            1, lease.hashOffer(offer), lessee, lender, AMOUNT, RENT, dueAt, _receipt, address(0), LEASE_FEE_BPS
        );
        vm.prank(lessee);
        equal(lease.take(offer, signature, AMOUNT, _receipt), 1, "lease id");

        equal(credit.balanceOf(lessee), AMOUNT, "the lessee's credits");
        equal(credit.balanceOf(lender), 9 * AMOUNT, "the lender's credits");
        equal(credit.balanceOf(address(lease)), 0, "none pass through");
        equal(timeBank.ownerOf(_receipt), address(lease), "custody");
        equal(lease.leaseCount(), 1, "leases");
        equal(lease.takenOf(lease.hashOffer(offer)), AMOUNT, "taken");
        equal(lease.owedOn(1), AMOUNT + RENT, "owed");
        equal(lease.standingLeaseOf(lessee), 0, "no lease on standing");
        Lease memory stored = lease.leaseOf(1);
        equal(stored.lender, lender, "lender");
        equal(stored.lessee, lessee, "lessee");
        equal(stored.dueAt, dueAt, "due day");
        equal(stored.receiptId, _receipt, "receipt");
        equal(stored.feeBps, LEASE_FEE_BPS, "fee");
        equal(stored.principal, AMOUNT, "principal");
        equal(stored.rent, RENT, "rent");
        equal(stored.repaid, 0, "repaid");
        equal(stored.account, address(0), "no account");
    }

    /// @dev Everything is wrong with this taking; one fault after the other is mended.
    function test_ChecksComeInTheirOrder() public {
        uint256 small = receiptOf(lessee, AMOUNT + RENT - 1, DEMAND);
        uint256 foreign = receiptOf(stranger, 2 * AMOUNT, DEMAND);
        approve(lender, address(lease), 0);
        vm.prank(lender);
        require(credit.transfer(stranger, 10 * AMOUNT));
        vm.prank(lessee);
        timeBank.approve(address(0), _receipt);
        vm.prank(guardian);
        lease.pauseLeasing();
        LeaseOffer memory offer = usualOffer();
        offer.lender = lessee;
        offer.lessee = stranger;
        offer.minTake = 0;
        offer.expiresAt = 1;
        offer.series = 3;

        _takeRefused(offer, "", 0, 99, abi.encodeWithSelector(ICreditLease.LeasingPaused.selector));
        vm.prank(governor);
        lease.resumeLeasing(1);
        _takeRefused(offer, "", 0, 99, abi.encodeWithSelector(ICreditLease.BadOffer.selector));
        offer.minTake = MIN_TAKE;
        _takeRefused(offer, "", 0, 99, abi.encodeWithSelector(ICreditLease.OfferExpired.selector, 1, block.timestamp));
        offer.expiresAt = type(uint40).max;
        _takeRefused(offer, "", 0, 99, abi.encodeWithSelector(ICreditLease.SeriesIsOver.selector, 3, 0));
        offer.series = 0;
        vm.prank(lessee);
        lease.cancel(offer);
        _takeRefused(
            offer, "", 0, 99, abi.encodeWithSelector(ICreditLease.OfferIsCancelled.selector, lease.hashOffer(offer))
        );
        offer.salt = 1;
        _takeRefused(offer, "", 0, 99, abi.encodeWithSelector(ICreditLease.NotForCaller.selector, stranger, lessee));
        offer.lessee = lessee;
        _takeRefused(offer, "", 0, 99, abi.encodeWithSelector(ICreditLease.LenderIsLessee.selector, lessee));
        offer.lender = lender;
        _takeRefused(offer, "", 0, 99, abi.encodeWithSelector(ICreditLease.BadTake.selector, 0, MIN_TAKE, AMOUNT));
        _takeRefused(offer, "", AMOUNT, 99, _badSignature(offer));
        bytes memory signature = signatureOf(offer);
        _takeRefused(
            offer, signature, AMOUNT, 99, abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 99)
        );
        _takeRefused(
            offer,
            signature,
            AMOUNT,
            foreign,
            abi.encodeWithSelector(ICreditLease.NotReceiptOwner.selector, foreign, lessee)
        );
        _takeRefused(
            offer,
            signature,
            AMOUNT,
            small,
            abi.encodeWithSelector(ICreditLease.ReceiptTooSmall.selector, small, AMOUNT + RENT - 1, AMOUNT + RENT)
        );
        _takeRefused(
            offer,
            signature,
            AMOUNT,
            _receipt,
            abi.encodeWithSelector(IERC721Errors.ERC721InsufficientApproval.selector, address(lease), _receipt)
        );
        vm.prank(lessee);
        timeBank.approve(address(lease), _receipt);
        _takeRefused(
            offer,
            signature,
            AMOUNT,
            _receipt,
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(lease), 0, AMOUNT)
        );
        approve(lender, address(lease), AMOUNT);
        _takeRefused(
            offer,
            signature,
            AMOUNT,
            _receipt,
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, lender, 0, AMOUNT)
        );
        fund(lender, AMOUNT);
        equal(take(offer, AMOUNT, _receipt), 1, "nothing else was wrong");
        equal(credit.allowance(lender, address(lease)), 0, "the allowance is used up");
    }

    function testFuzz_PartsGoDownToTheLastOddOne(uint64 amount, uint64 minTake, uint64 rent, uint256 seed) public {
        LeaseOffer memory offer = _fuzzedOffer(amount, minTake, rent);
        fund(lender, offer.amount);
        bytes32 offerHash = lease.hashOffer(offer);
        uint256 left = offer.amount;
        uint256 rents;
        uint256 parts;
        while (left != 0) {
            uint256 part = left < offer.minTake ? left : within(seed, offer.minTake, left);
            // After some parts the rest goes at once.
            if (parts == 5) part = left;
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 rentOfPart = divUp(offer.rent, part, offer.amount);
            uint256 leaseId = take(offer, part, receiptOf(lessee, _atLeast(part + rentOfPart), DEMAND));
            left -= part;
            ++parts;
            rents += rentOfPart;
            equal(lease.owedOn(leaseId), part + rentOfPart, "owed on a part");
            equal(lease.takenOf(offerHash), offer.amount - left, "taken");
        }
        isTrue(rents >= offer.rent && rents < offer.rent + parts, "rent of all parts");
        equal(credit.balanceOf(lessee), offer.amount, "all of it");
        _takeRefused(
            offer,
            signatureOf(offer),
            1,
            _receipt,
            abi.encodeWithSelector(ICreditLease.BadTake.selector, 1, offer.minTake, 0)
        );
    }

    function testFuzz_RevertWhen_ThePartIsBad(uint64 amount, uint64 minTake, uint64 taken, uint256 part) public {
        LeaseOffer memory offer = _fuzzedOffer(amount, minTake, 0);
        bytes memory signature = signatureOf(offer);
        fund(lender, offer.amount);
        taken = uint64(within(taken, offer.minTake, offer.amount));
        take(offer, taken, receiptOf(lessee, _atLeast(taken), DEMAND));
        uint256 left = offer.amount - taken;
        // Every number but those between the smallest part and the rest, and the rest itself.
        part = part % 2 == 0 ? part % offer.minTake : left + 1 + part % (type(uint256).max - left);
        if (part == left && part != 0) return;
        _takeRefused(
            offer,
            signature,
            part,
            _receipt,
            abi.encodeWithSelector(ICreditLease.BadTake.selector, part, offer.minTake, left)
        );
    }

    function test_OffersOfDustAndWithoutRentAreTaken() public {
        LeaseOffer memory offer = offerOf(1, 1);
        equal(lease.owedOn(take(offer, 1, receiptOf(lessee, 1_000, DEMAND))), 2, "one and its rent");
        offer = offerOf(AMOUNT, 0);
        uint256 leaseId = take(offer, AMOUNT, receiptOf(lessee, AMOUNT, DEMAND));
        equal(lease.owedOn(leaseId), AMOUNT, "no rent");
        uint256 collected = feePool.sync();
        approve(lessee, address(lease), AMOUNT);
        vm.prank(lessee);
        equal(lease.repay(leaseId, AMOUNT), AMOUNT, "repaid");
        equal(feePool.sync() + collected, 0, "no fee");
    }

    function test_RevertWhen_TheOfferCannotBe() public {
        LeaseOffer[8] memory offers;
        for (uint256 i; i < offers.length; ++i) {
            offers[i] = usualOffer();
        }
        offers[0].minTake = 0;
        offers[1].minTake = AMOUNT + 1;
        (offers[2].amount, offers[2].minTake) = (0, 0);
        (offers[3].amount, offers[3].minTake) = (0, 1);
        offers[4].term = 0;
        offers[5].term = 4 * 365 days + 1;
        offers[6].rent = type(uint64).max - AMOUNT + 1;
        (offers[7].amount, offers[7].rent) = (type(uint64).max, type(uint64).max);
        for (uint256 i; i < offers.length; ++i) {
            _takeRefused(
                offers[i],
                signatureOf(offers[i]),
                AMOUNT,
                _receipt,
                abi.encodeWithSelector(ICreditLease.BadOffer.selector)
            );
        }
        LeaseOffer memory longest = usualOffer();
        longest.term = uint32(lease.MAX_LEASE_TERM());
        equal(take(longest, AMOUNT, _receipt), 1, "the longest term");
        equal(lease.leaseOf(1).dueAt, block.timestamp + 4 * 365 days, "four years");
    }

    function test_AnOfferIsGoodUntilItsLastSecond() public {
        LeaseOffer memory offer = usualOffer();
        bytes memory signature = signatureOf(offer);
        vm.warp(offer.expiresAt + 1);
        _takeRefused(
            offer,
            signature,
            AMOUNT,
            _receipt,
            abi.encodeWithSelector(ICreditLease.OfferExpired.selector, offer.expiresAt, offer.expiresAt + 1)
        );
        vm.warp(offer.expiresAt);
        equal(take(offer, AMOUNT, _receipt), 1, "at the last second");
    }

    function test_AnOfferForOneLesseeIsNobodyElses() public {
        LeaseOffer memory offer = usualOffer();
        offer.lessee = lessee;
        bytes memory signature = signatureOf(offer);
        uint256 receiptId = receiptOf(stranger, 2 * AMOUNT, DEMAND);
        vm.expectRevert(abi.encodeWithSelector(ICreditLease.NotForCaller.selector, lessee, stranger));
        vm.prank(stranger);
        lease.take(offer, signature, AMOUNT, receiptId);
        equal(take(offer, AMOUNT, _receipt), 1, "for the lessee");
    }

    function test_AReceiptWorthExactlyWhatIsOwedIsEnough() public {
        LeaseOffer memory offer = usualOffer();
        uint256 receiptId = receiptOf(lessee, AMOUNT + RENT, DEMAND);
        equal(timeBank.exitValueOf(receiptId), AMOUNT + RENT, "exit value");
        equal(take(offer, AMOUNT, receiptId), 1, "taken");
    }

    function test_APenaltyCountsAgainstTheReceipt() public {
        uint256 receiptId = receiptOf(lessee, AMOUNT + RENT, MONTH);
        uint256 exitValue = timeBank.exitValueOf(receiptId);
        isTrue(exitValue < AMOUNT + RENT, "an early exit costs");
        LeaseOffer memory offer = usualOffer();
        _takeRefused(
            offer,
            signatureOf(offer),
            AMOUNT,
            receiptId,
            abi.encodeWithSelector(ICreditLease.ReceiptTooSmall.selector, receiptId, exitValue, AMOUNT + RENT)
        );
        vm.warp(block.timestamp + 30 days);
        offer = usualOffer();
        equal(take(offer, AMOUNT, receiptId), 1, "mature, it is enough");
    }

    /* SIGNATURES */

    function testFuzz_RevertWhen_AnyFieldDiffersFromWhatWasSigned(uint8 field, uint8 bit) public {
        LeaseOffer memory offer = usualOffer();
        bytes memory signature = signatureOf(offer);
        field %= 8;
        // Safe casts because one bit inside the field's width is set. Fields that other checks look at first are
        // changed to what passes those.
        // forge-lint: disable-start(unsafe-typecast)
        if (field == 0) offer.lender = address(uint160(lender) ^ uint160(2 ** (bit % 160)));
        else if (field == 1) offer.lessee = lessee;
        else if (field == 2) offer.amount += uint64(2 ** (bit % 32));
        else if (field == 3) offer.minTake -= uint64(2 ** (bit % 16));
        else if (field == 4) offer.rent ^= uint64(2 ** (bit % 63));
        else if (field == 5) offer.term ^= uint32(2 ** (bit % 26));
        else if (field == 6) offer.expiresAt += uint40(2 ** (bit % 32));
        else offer.salt ^= 2 ** uint256(bit);
        // forge-lint: disable-end(unsafe-typecast)
        if (offer.term == 0 || offer.term > lease.MAX_LEASE_TERM()) return;
        _takeRefused(offer, signature, AMOUNT, _receipt, _badSignature(offer));
        offer = usualOffer();
        offer.onStanding = !offer.onStanding;
        _takeRefused(offer, signature, AMOUNT, _receipt, _badSignature(offer));
    }

    function test_RevertWhen_TheSignatureIsNotOne() public {
        LeaseOffer memory offer = usualOffer();
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(LENDER_KEY, lease.hashOffer(offer));
        bytes32 upper = bytes32(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 - uint256(s));
        bytes[9] memory signatures = [
            signatureOf(offer, uint256(keccak256("somebody else"))),
            abi.encodePacked(r, upper, 55 - v),
            abi.encodePacked(r, s, v - 27),
            abi.encodePacked(r, s, 55 - v),
            abi.encodePacked(r, s),
            abi.encodePacked(r, bytes32(uint256(s) | uint256(v - 27) << 255)),
            abi.encodePacked(r, s, v, uint8(0)),
            abi.encodePacked(bytes32(0), bytes32(0), uint8(27)),
            new bytes(65)
        ];
        for (uint256 i; i < signatures.length; ++i) {
            _takeRefused(offer, signatures[i], AMOUNT, _receipt, _badSignature(offer));
        }
        // What no key signed is not the zero address's either.
        offer.lender = address(0);
        for (uint256 i; i < signatures.length; ++i) {
            _takeRefused(offer, signatures[i], AMOUNT, _receipt, _badSignature(offer));
        }
    }

    function test_RevertWhen_SignedForAnotherChainOrContract() public {
        LeaseOffer memory offer = usualOffer();
        bytes memory signature = signatureOf(offer);
        bytes32 offerHash = lease.hashOffer(offer);

        CreditLease other = CreditLease(ship("CreditLease", abi.encode(address(manager), lending, LEASE_FEE_BPS)));
        isTrue(other.hashOffer(offer) != offerHash, "another contract, another hash");
        approve(lender, address(other), AMOUNT);
        vm.prank(lessee);
        timeBank.approve(address(other), _receipt);
        vm.expectRevert(abi.encodeWithSelector(ICreditLease.BadOfferSignature.selector, lender, other.hashOffer(offer)));
        vm.prank(lessee);
        other.take(offer, signature, AMOUNT, _receipt);

        uint256 chainId = block.chainid;
        vm.chainId(chainId + 1);
        isTrue(lease.hashOffer(offer) != offerHash, "another chain, another hash");
        _takeRefused(offer, signature, AMOUNT, _receipt, _badSignature(offer));
        vm.chainId(chainId);
        vm.prank(lessee);
        timeBank.approve(address(lease), _receipt);
        equal(take(offer, AMOUNT, _receipt), 1, "here it is good");
    }

    function test_AContractWalletIsAskedEachTime() public {
        ContractWallet wallet = new ContractWallet(lender, credit, address(lease));
        fund(address(wallet), AMOUNT);
        LeaseOffer memory offer = usualOffer();
        offer.lender = address(wallet);
        offer.series = 0;
        bytes memory signature = signatureOf(offer);
        for (
            uint8 answer = uint8(ContractWallet.Answer.No); answer <= uint8(type(ContractWallet.Answer).max); ++answer) {
            wallet.setAnswer(ContractWallet.Answer(answer));
            _takeRefused(offer, signature, MIN_TAKE, _receipt, _badSignature(offer));
        }
        wallet.setAnswer(ContractWallet.Answer.OfItsOwner);
        _takeRefused(offer, signatureOf(offer, 7), MIN_TAKE, _receipt, _badSignature(offer));
        equal(take(offer, MIN_TAKE, _receipt), 1, "its owner signed");
        wallet.setAnswer(ContractWallet.Answer.Yes);
        uint256 second = receiptOf(lessee, 2 * AMOUNT, DEMAND);
        vm.prank(lessee);
        equal(lease.take(offer, "", MIN_TAKE, second), 2, "whatever it says is signed is signed");
        equal(credit.balanceOf(address(wallet)), AMOUNT - 2 * MIN_TAKE, "the wallet's credits");
        wallet.setAnswer(ContractWallet.Answer.No);
        _takeRefused(offer, signature, MIN_TAKE, second, _badSignature(offer));
    }

    /* RECEIPTS */

    function test_RevertWhen_TheReceiptIsPledgedAlready() public {
        LeaseOffer memory offer = usualOffer();
        vm.prank(lessee);
        timeBank.approve(address(lending), _receipt);
        vm.prank(lessee);
        lending.pledge(_receipt);
        bytes memory notOwner = abi.encodeWithSelector(ICreditLease.NotReceiptOwner.selector, _receipt, lessee);
        _takeRefused(offer, signatureOf(offer), MIN_TAKE, _receipt, notOwner);
        vm.prank(lessee);
        lending.release(_receipt);
        vm.prank(lessee);
        timeBank.approve(address(lease), _receipt);
        take(offer, MIN_TAKE, _receipt);
        _takeRefused(offer, signatureOf(offer), MIN_TAKE, _receipt, notOwner);
        vm.expectRevert(
            abi.encodeWithSelector(IERC721Errors.ERC721InsufficientApproval.selector, address(lending), _receipt)
        );
        vm.prank(lessee);
        lending.pledge(_receipt);
    }

    function test_InCustodyNobodyMovesOrClosesTheReceipt() public {
        take(usualOffer(), AMOUNT, _receipt);
        address[3] memory callers = [lessee, lender, stranger];
        for (uint256 i; i < callers.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(IERC721Errors.ERC721InsufficientApproval.selector, callers[i], _receipt)
            );
            vm.prank(callers[i]);
            timeBank.transferFrom(address(lease), callers[i], _receipt);
            bytes memory notHolder = abi.encodeWithSelector(ITimeBank.NotReceiptHolder.selector, _receipt, callers[i]);
            vm.expectRevert(notHolder);
            vm.prank(callers[i]);
            timeBank.close(_receipt, callers[i]);
            vm.expectRevert(notHolder);
            vm.prank(callers[i]);
            timeBank.collectIncome(_receipt, callers[i]);
            vm.expectRevert(notHolder);
            vm.prank(callers[i]);
            timeBank.rollOver(_receipt, WEEK);
        }
    }

    function test_IncomeInCustodyIsTheLessees() public {
        take(usualOffer(), AMOUNT, _receipt);
        _giveIncome(AMOUNT);
        vm.warp(block.timestamp + 6 days);
        _repayAll(1, lessee);
        isTrue(timeBank.incomeOf(_receipt) > 0, "income came with the receipt");
        uint256 exitValue = timeBank.exitValueOf(_receipt);
        isTrue(exitValue > 2 * AMOUNT, "more than was deposited");
        vm.prank(lessee);
        equal(timeBank.close(_receipt, lessee), exitValue, "paid out");
    }

    /* REPAY */

    function test_RepaymentPaysLenderAndFeeAndReturnsTheReceipt() public {
        take(usualOffer(), AMOUNT, _receipt);
        uint256 fee = divUp(RENT, LEASE_FEE_BPS, 10_000);
        uint256 lenderBefore = credit.balanceOf(lender);
        uint256 poolBefore = credit.balanceOf(address(feePool));
        fund(stranger, 3 * AMOUNT);
        approve(stranger, address(lease), 2 * AMOUNT);

        vm.expectEmit();
        emit ICreditLease.LeaseRepaid(1, stranger, AMOUNT + RENT, fee, false);
        vm.expectEmit();
        emit ICreditLease.LeaseClosed(1);
        vm.prank(stranger);
        equal(lease.repay(1, 2 * AMOUNT), AMOUNT + RENT, "never more than owed");

        equal(credit.balanceOf(stranger), 2 * AMOUNT - RENT, "paid by anybody");
        equal(credit.balanceOf(lender), lenderBefore + AMOUNT + RENT - fee, "the lender's credits");
        equal(credit.balanceOf(address(feePool)), poolBefore + fee, "the fee");
        equal(feePool.depositors() + feePool.bonus() + feePool.reserve(), poolBefore + fee, "booked");
        equal(timeBank.ownerOf(_receipt), lessee, "the receipt is the lessee's, whoever paid");
        _isOver(1);
        bytes memory gone = abi.encodeWithSelector(ICreditLease.NoSuchLease.selector, 1);
        _repayRefused(1, 1, gone);
        vm.warp(block.timestamp + 365 days);
        vm.expectRevert(gone);
        lease.settle(1);
        vm.expectRevert(gone);
        vm.prank(lender);
        lease.forgive(1);
    }

    function testFuzz_RevertWhen_PartOfALeaseOnAReceiptIsRepaid(uint256 amount) public {
        take(usualOffer(), AMOUNT, _receipt);
        uint256 owed = AMOUNT + RENT;
        amount = within(amount, 1, owed - 1);
        _repayRefused(1, amount, abi.encodeWithSelector(ICreditLease.PartialRepayment.selector, 1, owed, amount));
        _repayRefused(1, 0, abi.encodeWithSelector(ICreditLease.ZeroAmount.selector));
        _repayRefused(2, amount, abi.encodeWithSelector(ICreditLease.NoSuchLease.selector, 2));
        _repayRefused(0, amount, abi.encodeWithSelector(ICreditLease.NoSuchLease.selector, 0));
    }

    function test_RevertWhen_ThePayerCannotPay() public {
        take(usualOffer(), AMOUNT, _receipt);
        uint256 fee = divUp(RENT, LEASE_FEE_BPS, 10_000);
        uint256 toLender = AMOUNT + RENT - fee;
        approve(lessee, address(lease), toLender - 1);
        _repayRefused(
            1,
            AMOUNT + RENT,
            abi.encodeWithSelector(
                IERC20Errors.ERC20InsufficientAllowance.selector, address(lease), toLender - 1, toLender
            )
        );
        approve(lessee, address(lease), type(uint256).max);
        _repayRefused(
            1,
            AMOUNT + RENT,
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, lessee, AMOUNT, toLender)
        );
        fund(lessee, RENT);
        approve(lessee, address(lease), AMOUNT + RENT - 1);
        _repayRefused(
            1,
            AMOUNT + RENT,
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(lease), fee - 1, fee)
        );
        approve(lessee, address(lease), AMOUNT + RENT);
        vm.prank(lessee);
        equal(lease.repay(1, type(uint256).max), AMOUNT + RENT, "paid to the last unit");
        equal(credit.balanceOf(lessee), 0, "nothing left");
    }

    function test_RepaymentIsPossibleAfterTheDueDay() public {
        take(usualOffer(), AMOUNT, _receipt);
        vm.warp(block.timestamp + 366 days);
        equal(lease.owedOn(1), AMOUNT + RENT, "nothing grew in a year");
        _repayAll(1, lessee);
        equal(timeBank.ownerOf(_receipt), lessee, "the receipt");
    }

    /* SETTLE */

    function test_SettlingWaitsForTheDueDay() public {
        take(usualOffer(), AMOUNT, _receipt);
        uint256 dueAt = lease.leaseOf(1).dueAt;
        vm.expectRevert(abi.encodeWithSelector(ICreditLease.NotDue.selector, 1, dueAt, block.timestamp));
        lease.settle(1);
        vm.warp(dueAt);
        vm.expectRevert(abi.encodeWithSelector(ICreditLease.NotDue.selector, 1, dueAt, dueAt));
        lease.settle(1);
        vm.warp(dueAt + 1);
        vm.prank(stranger);
        lease.settle(1);
        _isOver(1);
    }

    function test_RevertWhen_ThereIsNothingToSettle() public {
        vm.expectRevert(abi.encodeWithSelector(ICreditLease.NoSuchLease.selector, 1));
        lease.settle(1);
    }

    function test_SettlingADemandDepositAYearLate() public {
        take(usualOffer(), AMOUNT, _receipt);
        uint256 fee = divUp(RENT, LEASE_FEE_BPS, 10_000);
        uint256 lenderBefore = credit.balanceOf(lender);
        vm.warp(block.timestamp + 366 days);
        vm.expectEmit();
        emit ICreditLease.LeaseSettled(1, stranger, 2 * AMOUNT, AMOUNT + RENT - fee, fee, AMOUNT - RENT);
        vm.expectEmit();
        emit ICreditLease.LeaseClosed(1);
        vm.prank(stranger);
        lease.settle(1);
        equal(credit.balanceOf(lender), lenderBefore + AMOUNT + RENT - fee, "the lender's");
        equal(credit.balanceOf(lessee), 2 * AMOUNT - RENT, "the lessee's: what it took and what was left");
        equal(feePool.depositors() + feePool.bonus() + feePool.reserve(), fee, "the fee, booked");
        equal(credit.balanceOf(address(lease)), 0, "nothing stays");
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, _receipt));
        timeBank.ownerOf(_receipt);
    }

    function testFuzz_SettlingPaysTheLenderWhole(uint64 amount, uint64 rent, uint16 termId, uint32 late, uint64 gift)
        public
    {
        amount = uint64(within(amount, 1_000, 1e15));
        rent = uint64(within(rent, 0, amount));
        termId = uint16(within(termId, DEMAND, MONTH));
        LeaseOffer memory offer = offerOf(amount, rent);
        fund(lender, amount);
        // Up to three hundredths more than is owed, for the penalty.
        uint256 id = receiptOf(lessee, (uint256(amount) + rent) * 103 / 100 + 1, termId);
        uint256 leaseId = take(offer, amount, id);
        uint256 lenderBefore = credit.balanceOf(lender);
        if (gift > 0) _giveIncome(within(gift, 1, 1e15));
        vm.warp(block.timestamp + LEASE_TERM + 1 + late);
        uint256 exitValue = timeBank.exitValueOf(id);
        isTrue(exitValue >= uint256(amount) + rent, "the security still covers");

        lease.settle(leaseId);
        uint256 fee = divUp(rent, LEASE_FEE_BPS, 10_000);
        equal(credit.balanceOf(lender), lenderBefore + amount + rent - fee, "the lender's");
        equal(credit.balanceOf(lessee), exitValue - rent, "the lessee's: the loan and what was left");
        equal(credit.balanceOf(address(lease)), 0, "nothing stays");
        // The bank's fee on income waits for a sync; with a rent the lease has made one.
        feePool.sync();
        equal(
            credit.balanceOf(address(feePool)),
            feePool.depositors() + feePool.bonus() + feePool.reserve(),
            "all fees are booked"
        );
    }

    function test_WhenGovernanceTaxesIncomeTheLenderGetsWhatThereIs() public {
        vm.prank(governor);
        timeBank.setIncomeFee(0);
        // The only other deposit leaves, so that all income is this receipt's.
        vm.prank(lessee);
        timeBank.close(_receipt, stranger);
        uint256 id = receiptOf(lessee, 1_000, DEMAND);
        _giveIncome(AMOUNT);
        vm.warp(block.timestamp + 10_000 days);
        uint256 exitValue = timeBank.exitValueOf(id);
        uint64 rent = 1_000;
        // Safe cast because the value is below 2^64.
        // forge-lint: disable-next-line(unsafe-typecast)
        LeaseOffer memory offer = offerOf(uint64(exitValue - rent), rent);
        uint256 leaseId = take(offer, offer.amount, id);
        uint256 lenderBefore = credit.balanceOf(lender);

        vm.prank(governor);
        timeBank.setIncomeFee(2_000);
        vm.warp(block.timestamp + LEASE_TERM + 1);
        uint256 proceeds = timeBank.exitValueOf(id);
        isTrue(proceeds < offer.amount, "the security fell below the principal");
        vm.expectEmit();
        emit ICreditLease.LeaseSettled(leaseId, address(this), proceeds, proceeds, 0, 0);
        lease.settle(leaseId);
        equal(credit.balanceOf(lender), lenderBefore + proceeds, "no fee on rent that did not come in");
        _isOver(leaseId);
    }

    /* FORGIVE */

    function test_OnlyTheLenderForgives() public {
        take(usualOffer(), AMOUNT, _receipt);
        vm.expectRevert(abi.encodeWithSelector(ICreditLease.NotLender.selector, 1, lessee, lender));
        vm.prank(lessee);
        lease.forgive(1);
        uint256 before = credit.balanceOf(lender);
        vm.expectEmit();
        emit ICreditLease.LeaseForgiven(1, AMOUNT + RENT);
        vm.expectEmit();
        emit ICreditLease.LeaseClosed(1);
        vm.prank(lender);
        lease.forgive(1);
        equal(credit.balanceOf(lender), before, "nothing was paid");
        equal(timeBank.ownerOf(_receipt), lessee, "the receipt is free");
        _isOver(1);
        vm.expectRevert(abi.encodeWithSelector(ICreditLease.NoSuchLease.selector, 2));
        vm.prank(lender);
        lease.forgive(2);
    }

    /* CANCEL */

    function test_ACancelledOfferCannotBeTaken() public {
        LeaseOffer memory offer = usualOffer();
        bytes memory signature = signatureOf(offer);
        bytes32 offerHash = lease.hashOffer(offer);
        take(offer, MIN_TAKE, _receipt);
        vm.expectRevert(abi.encodeWithSelector(ICreditLease.NotOfferLender.selector, stranger, lender));
        vm.prank(stranger);
        lease.cancel(offer);
        isTrue(!lease.isCancelled(offerHash), "not by a stranger");
        for (uint256 i; i < 2; ++i) {
            vm.expectEmit();
            emit ICreditLease.OfferCancelled(lender, offerHash);
            vm.prank(lender);
            lease.cancel(offer);
            isTrue(lease.isCancelled(offerHash), "cancelled");
        }
        uint256 id = receiptOf(lessee, 2 * AMOUNT, DEMAND);
        _takeRefused(
            offer, signature, MIN_TAKE, id, abi.encodeWithSelector(ICreditLease.OfferIsCancelled.selector, offerHash)
        );
        equal(lease.takenOf(offerHash), MIN_TAKE, "what was taken stays taken");
        _repayAll(1, lessee);
        offer.salt = 1;
        equal(take(offer, MIN_TAKE, id), 2, "another offer is not cancelled");
    }

    function test_EndingASeriesVoidsItsOffers() public {
        LeaseOffer memory offer = usualOffer();
        bytes memory signature = signatureOf(offer);
        LeaseOffer memory next = usualOffer();
        next.series = 1;
        _takeRefused(
            next, signatureOf(next), AMOUNT, _receipt, abi.encodeWithSelector(ICreditLease.SeriesIsOver.selector, 1, 0)
        );
        take(offer, MIN_TAKE, _receipt);
        vm.expectEmit();
        emit ICreditLease.SeriesEnded(lender, 1);
        vm.prank(lender);
        equal(lease.cancelAll(), 1, "new series");
        uint256 id = receiptOf(lessee, 2 * AMOUNT, DEMAND);
        _takeRefused(offer, signature, MIN_TAKE, id, abi.encodeWithSelector(ICreditLease.SeriesIsOver.selector, 0, 1));
        isTrue(!lease.isCancelled(lease.hashOffer(offer)), "not cancelled by itself");
        equal(lease.seriesOf(stranger), 0, "nobody else's");
        equal(take(next, MIN_TAKE, id), 2, "the next series");
        _repayAll(1, lessee);
    }

    /* STANDING */

    function test_StandingLeasePaysAndPledgesTheClaims() public {
        finaliseEpoch(1e9);
        LeaseOffer memory offer = usualOffer();
        bytes memory signature = signatureOf(offer);
        bytes32[] memory proof = proofOf(levels, 0);
        uint256 dueAt = block.timestamp + LEASE_TERM;

        vm.expectEmit();
        emit ICreditLease.LeaseTaken(
            1, lease.hashOffer(offer), lessee, lender, AMOUNT, RENT, dueAt, 0, lessee, LEASE_FEE_BPS
        );
        vm.expectEmit();
        emit ICreditDistributor.ClaimsPledgeSet(lessee, lessee, address(lease));
        vm.prank(lessee);
        equal(lease.takeOnStanding(offer, signature, AMOUNT, leaves[0], proof), 1, "lease id");

        equal(credit.balanceOf(lessee), AMOUNT, "the lessee's credits");
        equal(lease.standingLeaseOf(lessee), 1, "its lease");
        equal(lease.leaseOf(1).account, lessee, "the account proved");
        equal(lease.leaseOf(1).receiptId, 0, "no receipt");
        equal(distributor.creditorOf(lessee), address(lease), "pledged");
        vm.expectRevert(abi.encodeWithSelector(ICreditLease.NotOnReceipt.selector, 1));
        lease.settle(1);
    }

    /// @dev As `test_ChecksComeInTheirOrder`, from the signature on.
    function test_ChecksOfStandingComeInTheirOrder() public {
        finaliseEpoch(1e9);
        AccountLeaf memory stale = leaves[0];
        bytes32[] memory staleProof = proofOf(levels, 0);
        finaliseEpoch(1e9);
        AccountLeaf memory leaf = leaves[0];
        bytes32[] memory proof = proofOf(levels, 0);
        bytes32 root = distributor.accountRoot();
        _supplyThePool();
        uint256 limit = lending.standingLimit(leaf.standing);

        LeaseOffer memory offer = usualOffer();
        offer.onStanding = false;
        _takeOnStandingRefused(offer, "", AMOUNT, stale, staleProof, _badSignature(offer));
        _takeOnStandingRefused(
            offer,
            signatureOf(offer),
            AMOUNT,
            stale,
            staleProof,
            abi.encodeWithSelector(ICreditLease.StandingNotAccepted.selector, lease.hashOffer(offer))
        );
        offer.onStanding = true;
        takeOnStanding(offer, MIN_TAKE);
        offer.salt = 1;
        // Safe cast because the limit is far below 2^64.
        // forge-lint: disable-next-line(unsafe-typecast)
        offer.amount = uint64(limit + 1);
        offer.rent = 0;
        bytes memory signature = signatureOf(offer);
        _takeOnStandingRefused(
            offer,
            signature,
            limit + 1,
            stale,
            staleProof,
            abi.encodeWithSelector(ICreditLease.StandingLeaseRuns.selector, lessee, 1)
        );
        vm.prank(lender);
        lease.forgive(1);
        _takeOnStandingRefused(
            offer,
            signature,
            limit + 1,
            stale,
            staleProof,
            abi.encodeWithSelector(ICreditLease.StandingNotProven.selector, 0, root)
        );
        _takeOnStandingRefused(
            offer,
            signature,
            limit + 1,
            leaves[1],
            proofOf(levels, 1),
            abi.encodeWithSelector(ICreditLease.NotAccountHolder.selector, stranger, lessee)
        );
        _takeOnStandingRefused(
            offer,
            signature,
            limit + 1,
            leaves[2],
            proofOf(levels, 2),
            abi.encodeWithSelector(ICreditLease.NotAccountHolder.selector, PLACEHOLDER, lessee)
        );
        _takeOnStandingRefused(
            offer,
            signature,
            limit + 1,
            leaf,
            proof,
            abi.encodeWithSelector(ICreditLease.StandingTooLow.selector, limit + 1, limit)
        );
        bytes32[] memory poolProof = proofOf(levels, 0);
        vm.prank(lessee);
        lending.borrowOnStanding(leaves[0], poolProof, AMOUNT, lessee);
        _takeOnStandingRefused(
            offer,
            signature,
            limit,
            leaf,
            proof,
            abi.encodeWithSelector(ICreditDistributor.ClaimsPledged.selector, lessee, address(lending))
        );
        approve(lessee, address(lending), type(uint256).max);
        vm.prank(lessee);
        lending.repayStanding(lessee, type(uint256).max);
        approve(lender, address(lease), limit - 1);
        _takeOnStandingRefused(
            offer,
            signature,
            limit,
            leaf,
            proof,
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(lease), limit - 1, limit)
        );
        approve(lender, address(lease), limit);
        fund(lender, limit);
        equal(takeOnStanding(offer, limit), 2, "nothing else was wrong: to the limit");
    }

    function testFuzz_RevertWhen_TheLeafOrItsProofIsChanged(uint8 field, uint8 bit) public {
        finaliseEpoch(1e9);
        LeaseOffer memory offer = usualOffer();
        AccountLeaf memory leaf = leaves[0];
        bytes32[] memory proof = proofOf(levels, 0);
        // Safe casts because one bit inside the field's width is set.
        // forge-lint: disable-start(unsafe-typecast)
        uint64 flip = uint64(2 ** (bit % 64));
        uint32 flip32 = uint32(2 ** (bit % 32));
        field %= 12;
        if (field == 0) leaf.index ^= flip32;
        else if (field == 1) leaf.account = address(uint160(leaf.account) ^ uint160(2 ** (bit % 160)));
        else if (field == 2) leaf.activityEnd ^= flip32;
        else if (field == 3) leaf.earned ^= flip;
        else if (field == 4) leaf.runningEarned ^= flip;
        else if (field == 5) leaf.runningActive ^= flip32;
        else if (field == 6) leaf.standing ^= flip;
        else if (field == 7) leaf.mint ^= flip;
        else if (field == 8) leaf.runningMint ^= flip;
        else if (field == 9) leaf.cumulativeMint ^= flip;
        else if (field == 10) proof[bit % 2] ^= bytes32(2 ** uint256(bit));
        else proof = new bytes32[](bit % 2);
        // forge-lint: disable-end(unsafe-typecast)
        _takeOnStandingRefused(
            offer,
            signatureOf(offer),
            AMOUNT,
            leaf,
            proof,
            abi.encodeWithSelector(ICreditLease.StandingNotProven.selector, leaf.index, distributor.accountRoot())
        );
    }

    function test_RevertWhen_NoEpochOrNoPolicyIsKnown() public {
        LeaseOffer memory offer = usualOffer();
        AccountLeaf memory leaf;
        leaf.account = lessee;
        _takeOnStandingRefused(
            offer,
            signatureOf(offer),
            AMOUNT,
            leaf,
            new bytes32[](0),
            abi.encodeWithSelector(ICreditLease.StandingNotProven.selector, 0, bytes32(0))
        );
        finaliseEpoch(1e9);
        offer = usualOffer();
        bytes32 accepted = oracle.policyHash();
        setPolicy(firstPolicy());
        _takeOnStandingRefused(
            offer,
            signatureOf(offer),
            AMOUNT,
            leaves[0],
            proofOf(levels, 0),
            abi.encodeWithSelector(ICreditLending.PolicyNotAccepted.selector, oracle.policyHash(), accepted)
        );
    }

    function test_ThePoolLendsNothingOnClaimsPledgedHere() public {
        finaliseEpoch(1e9);
        takeOnStanding(usualOffer(), AMOUNT);
        _supplyThePool();
        bytes32[] memory proof = proofOf(levels, 0);
        vm.expectRevert(abi.encodeWithSelector(ICreditDistributor.ClaimsPledged.selector, lessee, address(lease)));
        vm.prank(lessee);
        lending.borrowOnStanding(leaves[0], proof, AMOUNT, lessee);
    }

    function test_StandingFadesUntilItIsTooLow() public {
        finaliseEpoch(1e9);
        LeaseOffer memory offer = usualOffer();
        offer.expiresAt = type(uint40).max;
        bytes memory signature = signatureOf(offer);
        vm.warp(block.timestamp + 366 days);
        uint256 limit = lending.standingLimit(leaves[0].standing);
        isTrue(limit < AMOUNT, "a year fades it");
        _takeOnStandingRefused(
            offer,
            signature,
            AMOUNT,
            leaves[0],
            proofOf(levels, 0),
            abi.encodeWithSelector(ICreditLease.StandingTooLow.selector, AMOUNT + RENT, limit)
        );
    }

    function test_BeforeTheDueDayClaimsAreTheLessees() public {
        finaliseEpoch(1e9);
        LeaseOffer memory offer = usualOffer();
        offer.term = 30 days;
        takeOnStanding(offer, AMOUNT);
        equal(_claim(0), 1e9, "minted");
        equal(credit.balanceOf(lessee), AMOUNT + 1e9, "all of it the lessee's");
        finaliseEpoch(1e9);
        vm.warp(lease.leaseOf(1).dueAt);
        equal(lease.dueFromClaims(lessee), 0, "at the last second nothing is due");
        _claim(0);
        equal(credit.balanceOf(lessee), AMOUNT + 2e9, "still the lessee's");
        vm.warp(block.timestamp + 1);
        equal(lease.dueFromClaims(lessee), AMOUNT + RENT, "due");
        equal(lease.dueFromClaims(stranger), 0, "nobody else owes");
    }

    function test_OverdueClaimsRepayFirstAndAreFreeWhenAllIsPaid() public {
        finaliseEpoch(1e9);
        takeOnStanding(usualOffer(), AMOUNT);
        _claim(0);
        uint256 lenderBefore = credit.balanceOf(lender);
        uint256 lesseeBefore = credit.balanceOf(lessee);
        // Less than the principal, then a part of the rent with it, then more than all.
        uint64[3] memory grants = [AMOUNT - 3, RENT / 2, 1e9];
        uint256 paid;
        uint256 fees;
        vm.warp(block.timestamp + 30 days);
        for (uint256 i; i < 3; ++i) {
            finaliseEpoch(grants[i]);
            uint256 due = lease.dueFromClaims(lessee);
            equal(due, AMOUNT + RENT - paid, "due");
            uint256 part = due < grants[i] ? due : grants[i];
            paid += part;
            uint256 feesNow = paid < AMOUNT ? 0 : divUp(paid - AMOUNT, LEASE_FEE_BPS, 10_000);
            vm.expectEmit();
            emit ICreditLease.LeaseRepaid(1, lessee, part, feesNow - fees, true);
            if (i == 2) {
                vm.expectEmit();
                emit ICreditLease.LeaseClosed(1);
                vm.expectEmit();
                emit ICreditDistributor.ClaimsPledgeSet(lessee, lessee, address(0));
            }
            equal(_claim(0), grants[i], "minted");
            fees = feesNow;
            equal(credit.balanceOf(lender), lenderBefore + paid - fees, "the lender's");
            equal(credit.balanceOf(address(feePool)), fees, "the fee pool's");
            equal(credit.balanceOf(address(lease)), 0, "nothing stays");
        }
        equal(fees, divUp(RENT, LEASE_FEE_BPS, 10_000), "the fee on the whole rent");
        equal(
            credit.balanceOf(lessee),
            lesseeBefore + grants[0] + grants[1] + grants[2] - AMOUNT - RENT,
            "the rest is the lessee's"
        );
        equal(distributor.creditorOf(lessee), address(0), "claims are free");
        equal(lease.standingLeaseOf(lessee), 0, "no lease");
        _isOver(1);
        finaliseEpoch(1e9);
        equal(_claim(0), 1e9, "minted");
        equal(credit.balanceOf(lender), lenderBefore + AMOUNT + RENT - fees, "no more than was owed");
    }

    function test_AWalletsPlaceholderStandsForIt() public {
        vm.prank(registrar);
        registry.requestLink(PLACEHOLDER, lessee);
        vm.warp(block.timestamp + LINK_DELAY);
        registry.confirmLink(PLACEHOLDER);
        finaliseEpoch(1e9);
        LeaseOffer memory offer = usualOffer();
        bytes memory signature = signatureOf(offer);
        bytes32[] memory proof = proofOf(levels, 2);
        vm.prank(lessee);
        lease.takeOnStanding(offer, signature, AMOUNT, leaves[2], proof);
        equal(lease.leaseOf(1).account, PLACEHOLDER, "the account proved");
        equal(distributor.creditorOf(PLACEHOLDER), address(lease), "the placeholder's claims");
        equal(distributor.creditorOf(lessee), address(lease), "the wallet's own claims");
        vm.warp(block.timestamp + LEASE_TERM + 1);
        uint256 lenderBefore = credit.balanceOf(lender);
        // Not this epoch's leaves any more only if another came: none did.
        equal(_claim(2), 1e9, "minted");
        equal(credit.balanceOf(lender), lenderBefore + AMOUNT + RENT - divUp(RENT, LEASE_FEE_BPS, 10_000), "repaid");
        equal(distributor.creditorOf(PLACEHOLDER), address(0), "the placeholder's are free");
        equal(distributor.creditorOf(lessee), address(0), "the wallet's are free");
        equal(_claim(0), 1e9, "its own claims are its own again");
    }

    function test_ForgivingFreesTheClaims() public {
        finaliseEpoch(1e9);
        takeOnStanding(usualOffer(), AMOUNT);
        approve(lessee, address(lease), type(uint256).max);
        vm.prank(lessee);
        equal(lease.repay(1, 7), 7, "a part");
        vm.expectEmit();
        emit ICreditLease.LeaseForgiven(1, AMOUNT + RENT - 7);
        vm.prank(lender);
        lease.forgive(1);
        equal(distributor.creditorOf(lessee), address(0), "free");
        equal(lease.standingLeaseOf(lessee), 0, "no lease");
        _isOver(1);
        LeaseOffer memory offer = usualOffer();
        offer.salt = 1;
        equal(takeOnStanding(offer, AMOUNT), 2, "another can be taken");
    }

    function testFuzz_TheFeeIsTheSameHoweverTheRentIsSplit(uint64 rent, uint16 feeBps, uint256 seed) public {
        // Safe casts because the ranges are.
        // forge-lint: disable-start(unsafe-typecast)
        rent = uint64(within(rent, 0, AMOUNT));
        feeBps = uint16(within(feeBps, 0, 2_000));
        // forge-lint: disable-end(unsafe-typecast)
        vm.prank(governor);
        lease.setLeaseFee(feeBps);
        finaliseEpoch(1e9);
        takeOnStanding(offerOf(AMOUNT, rent), AMOUNT);
        uint256 lenderBefore = credit.balanceOf(lender);
        fund(stranger, 2 * AMOUNT);
        approve(stranger, address(lease), type(uint256).max);
        uint256 owed = AMOUNT + rent;
        while (owed != 0) {
            seed = uint256(keccak256(abi.encode(seed)));
            // Mostly small parts around the end of the principal.
            uint256 part = owed > rent + 5 ? owed - rent - 5 : within(seed, 1, owed < 40 ? owed : 1 + owed / 3);
            if (seed % 3 == 0) {
                vm.prank(address(distributor));
                credit.mint(address(lease), part);
                vm.prank(address(distributor));
                lease.repayFromClaim(lessee, part);
            } else {
                vm.prank(stranger);
                equal(lease.repay(1, part), part, "paid");
            }
            owed -= part;
            equal(lease.owedOn(1), owed, "owed");
        }
        uint256 fee = divUp(rent, feeBps, 10_000);
        equal(credit.balanceOf(address(feePool)), fee, "the fee on the whole rent");
        equal(credit.balanceOf(lender), lenderBefore + AMOUNT + rent - fee, "the lender's");
        equal(credit.balanceOf(address(lease)), 0, "nothing stays");
        equal(distributor.creditorOf(lessee), address(0), "claims are free");
        _isOver(1);
    }

    function test_RevertWhen_SomebodyElseRepaysFromClaims() public {
        finaliseEpoch(1e9);
        takeOnStanding(usualOffer(), AMOUNT);
        vm.expectRevert(
            abi.encodeWithSelector(ICreditLease.NotClaimsDistributor.selector, stranger, address(distributor))
        );
        vm.prank(stranger);
        lease.repayFromClaim(lessee, 1);
    }

    /* SETTINGS */

    function test_RevertWhen_SomebodyElseSets() public {
        bytes memory unauthorized = abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, stranger);
        vm.expectRevert(unauthorized);
        vm.prank(stranger);
        lease.setLeaseFee(0);
        vm.expectRevert(unauthorized);
        vm.prank(stranger);
        lease.pauseLeasing();
    }

    function test_ANewFeeIsForLaterLeases() public {
        vm.expectRevert(abi.encodeWithSelector(ICreditLease.LeaseFeeTooHigh.selector, 2_001, 2_000));
        vm.prank(governor);
        lease.setLeaseFee(2_001);
        take(usualOffer(), AMOUNT, _receipt);
        vm.expectEmit();
        emit ICreditLease.LeaseFeeSet(LEASE_FEE_BPS, 2_000);
        vm.prank(governor);
        lease.setLeaseFee(2_000);
        equal(lease.leaseFeeBps(), 2_000, "the highest");
        LeaseOffer memory offer = usualOffer();
        offer.salt = 1;
        uint256 second = take(offer, AMOUNT, receiptOf(lessee, 2 * AMOUNT, DEMAND));

        _repayAll(1, lessee);
        uint256 fee = divUp(RENT, LEASE_FEE_BPS, 10_000);
        equal(credit.balanceOf(address(feePool)), fee, "under the old fee");
        _repayAll(second, lessee);
        equal(credit.balanceOf(address(feePool)), fee + divUp(RENT, 2_000, 10_000), "under the new fee");

        vm.expectRevert(abi.encodeWithSelector(ICreditLease.LeaseFeeTooHigh.selector, 2_001, 2_000));
        ship("CreditLease", abi.encode(address(manager), lending, 2_001));
    }

    function test_PausingStopsTakingAndNothingElse() public {
        LeaseOffer[3] memory offers;
        for (uint256 i; i < 3; ++i) {
            offers[i] = usualOffer();
            offers[i].salt = i;
            take(offers[i], AMOUNT, receiptOf(lessee, 2 * AMOUNT, DEMAND));
        }
        vm.expectEmit();
        emit ICreditLease.LeasingPausedSet(true, 1);
        vm.prank(guardian);
        lease.pauseLeasing();
        isTrue(lease.leasingPaused(), "paused");
        _repayAll(1, lessee);
        vm.prank(lender);
        lease.forgive(2);
        vm.warp(block.timestamp + LEASE_TERM + 1);
        lease.settle(3);
        vm.prank(lender);
        lease.cancel(offers[0]);
        vm.prank(lender);
        lease.cancelAll();
        LeaseOffer memory offer = usualOffer();
        _takeRefused(
            offer, signatureOf(offer), AMOUNT, _receipt, abi.encodeWithSelector(ICreditLease.LeasingPaused.selector)
        );
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, guardian));
        vm.prank(guardian);
        lease.resumeLeasing(1);
        vm.expectEmit();
        emit ICreditLease.LeasingPausedSet(false, 1);
        vm.prank(governor);
        lease.resumeLeasing(1);
        equal(take(offer, AMOUNT, _receipt), 4, "resumed");
    }

    /* HASH */

    function test_HashIsAsAnIndependentEncoderWritesIt() public view {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("timebank CreditLease"),
                keccak256("1"),
                block.chainid,
                address(lease)
            )
        );
        equal(lease.hashOffer(_vector()), keccak256(abi.encodePacked(hex"1901", domain, VECTOR_STRUCT_HASH)), "digest");
    }

    function testFuzz_RevertWhen_AWordHoldsMoreThanItsType(uint8 field, uint8 bit) public view {
        uint256[9] memory widths = [uint256(160), 160, 64, 64, 64, 32, 1, 40, 64];
        field %= 9;
        bytes memory data = abi.encodeCall(lease.hashOffer, (_vector()));
        uint256 flip = 2 ** within(bit, widths[field], 255);
        assembly {
            let at := add(add(data, 0x24), shl(5, field))
            mstore(at, xor(mload(at), flip))
        }
        (bool accepted,) = address(lease).staticcall(data);
        isTrue(!accepted, "a dirty word");
    }

    /* HELPERS */

    function _vector() private pure returns (LeaseOffer memory) {
        return LeaseOffer({
            lender: 0x0102030405060708090a0B0c0d0e0f1011121314,
            lessee: 0x2122232425262728292A2b2C2D2e2f3031323334,
            amount: 0x4142434445464748,
            minTake: 0x3132333435363738,
            rent: 0x5152535455565758,
            term: 0x01020304,
            onStanding: true,
            expiresAt: 0x6162636465,
            series: 0x7172737475767778,
            salt: 0x8182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0
        });
    }

    function _fuzzedOffer(uint64 amount, uint64 minTake, uint64 rent) private view returns (LeaseOffer memory offer) {
        // Safe casts because the ranges are.
        // forge-lint: disable-start(unsafe-typecast)
        offer = offerOf(uint64(within(amount, 1, 1e15)), uint64(within(rent, 0, 1e15)));
        offer.minTake = uint64(within(minTake, 1, offer.amount));
        // forge-lint: disable-end(unsafe-typecast)
    }

    /// @dev The bank takes no smaller deposit.
    function _atLeast(uint256 amount) private view returns (uint256) {
        uint256 minimum = timeBank.MIN_DEPOSIT();
        return amount < minimum ? minimum : amount;
    }

    function _takeRefused(
        LeaseOffer memory offer,
        bytes memory signature,
        uint256 amount,
        uint256 receiptId,
        bytes memory error
    ) private {
        vm.expectRevert(error);
        vm.prank(lessee);
        lease.take(offer, signature, amount, receiptId);
    }

    function _takeOnStandingRefused(
        LeaseOffer memory offer,
        bytes memory signature,
        uint256 amount,
        AccountLeaf memory leaf,
        bytes32[] memory proof,
        bytes memory error
    ) private {
        vm.expectRevert(error);
        vm.prank(lessee);
        lease.takeOnStanding(offer, signature, amount, leaf, proof);
    }

    function _claim(uint256 index) private returns (uint256) {
        return distributor.claim(leaves[index], proofOf(levels, index));
    }

    function _supplyThePool() private {
        fund(stranger, 100 * AMOUNT);
        approve(stranger, address(lending), 100 * AMOUNT);
        vm.prank(stranger);
        lending.deposit(100 * AMOUNT, stranger);
        // A twelfth of it counts by then: enough for AMOUNT on standing.
        vm.warp(vm.getBlockTimestamp() + 2 hours);
    }

    function _badSignature(LeaseOffer memory offer) private view returns (bytes memory) {
        return abi.encodeWithSelector(ICreditLease.BadOfferSignature.selector, offer.lender, lease.hashOffer(offer));
    }

    function _repayRefused(uint256 leaseId, uint256 amount, bytes memory error) private {
        vm.expectRevert(error);
        vm.prank(lessee);
        lease.repay(leaseId, amount);
    }

    function _repayAll(uint256 leaseId, address payer) private {
        uint256 owed = lease.owedOn(leaseId);
        fund(payer, owed);
        approve(payer, address(lease), owed);
        vm.prank(payer);
        equal(lease.repay(leaseId, owed), owed, "repaid");
        _isOver(leaseId);
    }

    function _giveIncome(uint256 amount) private {
        fund(address(timeBank), amount);
        timeBank.collect();
    }

    function _isOver(uint256 leaseId) private view {
        Lease memory nothing;
        isTrue(keccak256(abi.encode(lease.leaseOf(leaseId))) == keccak256(abi.encode(nothing)), "the lease is over");
        equal(lease.owedOn(leaseId), 0, "nothing is owed");
    }
}
