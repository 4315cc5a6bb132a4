// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";

import {TimeBank} from "../bank/TimeBank.sol";
import {CreditParameters, IAttentionCredit} from "../interfaces/IAttentionCredit.sol";
import {ICreditDistributor} from "../interfaces/ICreditDistributor.sol";
import {ICreditLending, RiskSettings} from "../interfaces/ICreditLending.sol";
import {FeeSplit, IFeePool} from "../interfaces/IFeePool.sol";
import {EpochHeader, InitialParameters} from "../interfaces/IRateOracle.sol";
import {ITimeBank, Term} from "../interfaces/ITimeBank.sol";
import {CreditLending} from "../lending/CreditLending.sol";
import {AccountLeaf, EpochTree} from "../libraries/EpochTree.sol";
import {Bracket, DomainPolicy, Knot, Policy} from "../libraries/Policy.sol";
import {PolicyRegistry} from "../oracle/PolicyRegistry.sol";
import {RateFloat} from "../oracle/RateFloat.sol";
import {RateOracle} from "../oracle/RateOracle.sol";
import {CreditPayments} from "../token/CreditPayments.sol";
import {MemberRegistry} from "../token/MemberRegistry.sol";
import {Checks} from "./Vm.sol";

/// @title LeafHasher
/// @notice Hashes leaves from memory: the library takes them from calldata.
contract LeafHasher {
    function hash(AccountLeaf calldata leaf) external pure returns (bytes32) {
        return EpochTree.hashAccount(leaf);
    }
}

/// @title System
/// @notice The whole system once, with roles given, and the epochs, trees and proofs the tests need.
abstract contract System is Checks {
    uint64 internal constant GOVERNOR = 1;
    uint64 internal constant GUARDIAN = 2;
    uint64 internal constant CANCELLER = 4;
    uint64 internal constant REGISTRAR = 3;

    uint64 internal constant RATE_ONE = 2 ** 24;
    uint96 internal constant BOND = 0.1 ether;
    uint32 internal constant WINDOW = 1 days;
    uint16 internal constant CHALLENGER_SHARE_BPS = 5_000;
    uint48 internal constant LINK_DELAY = 2 days;
    uint256 internal constant FEE_BPS = 50;
    uint16 internal constant INCOME_FEE_BPS = 500;
    uint24 internal constant RELEASE_SECONDS = 7 days;
    /// @dev 4 % a year: 0.04e18 / 365 days.
    uint48 internal constant INITIAL_RATE_AT_TARGET = 1_268_391_679;
    uint16 internal constant DEMAND = 0;
    uint16 internal constant DAY = 1;
    uint16 internal constant WEEK = 2;
    uint16 internal constant MONTH = 3;
    uint256 internal constant START = 1_800_000_000;

    address internal governor = address(0x60);
    address internal guardian = address(0x6a);
    address internal registrar = address(0x4e);
    address internal canceller = address(0xca);
    address internal proposer = address(0x9409);
    address internal stranger = address(0x57);

    AccessManager internal manager;
    MemberRegistry internal registry;
    PolicyRegistry internal policies;
    bytes32 internal firstPolicyHash;
    RateOracle internal oracle;
    RateFloat internal rateFloat;
    ICreditDistributor internal distributor;
    IAttentionCredit internal credit;
    IFeePool internal feePool;
    CreditPayments internal payments;
    ITimeBank internal timeBank;
    ICreditLending internal lending;
    LeafHasher internal hasher;

    /// @dev Keys of the five quorum signers, ascending by address.
    uint256[5] internal signerKeys;

    function deploySystem() internal {
        vm.warp(START);
        manager = AccessManager(ship("AccessManager", abi.encode(address(this))));
        registry = MemberRegistry(ship("MemberRegistry", abi.encode(address(manager), LINK_DELAY)));
        policies = PolicyRegistry(ship("PolicyRegistry", ""));
        firstPolicyHash = policies.register(firstPolicy());
        oracle = RateOracle(ship("RateOracle", abi.encode(address(manager), registry, policies, initialParameters())));
        distributor = oracle.distributor();
        credit = oracle.credit();
        feePool = oracle.feePool();
        rateFloat = RateFloat(ship("RateFloat", abi.encode(address(manager), oracle)));
        oracle.setRateFloat(rateFloat);
        payments = CreditPayments(ship("CreditPayments", abi.encode(address(manager), credit, feePool, FEE_BPS)));
        setSpenders(address(payments));
        timeBank = TimeBank(
            ship("TimeBank", abi.encode(address(manager), distributor, initialTerms(), INCOME_FEE_BPS, RELEASE_SECONDS))
        );
        lending = CreditLending(
            ship("CreditLending", abi.encode(address(manager), oracle, timeBank, initialRisk(), INITIAL_RATE_AT_TARGET))
        );
        hasher = new LeafHasher();
        _grantRoles();
        vm.deal(proposer, 1_000 ether);
    }

    function initialParameters() internal returns (InitialParameters memory initial) {
        address[] memory signers = new address[](5);
        for (uint256 i; i < 5; ++i) {
            signerKeys[i] = uint256(keccak256(abi.encode("signer", i)));
        }
        for (uint256 i; i < 5; ++i) {
            for (uint256 j = i + 1; j < 5; ++j) {
                if (vm.addr(signerKeys[j]) < vm.addr(signerKeys[i])) {
                    (signerKeys[i], signerKeys[j]) = (signerKeys[j], signerKeys[i]);
                }
            }
            signers[i] = vm.addr(signerKeys[i]);
        }
        initial.policyHash = firstPolicyHash;
        initial.policyURI = "policy.json";
        initial.rateQ24 = RATE_ONE;
        initial.signers = signers;
        initial.threshold = 3;
        initial.bond = BOND;
        initial.challengeWindow = WINDOW;
        initial.challengerShareBps = CHALLENGER_SHARE_BPS;
        initial.credit = CreditParameters("Attention Credit", "ATT", "https://example.org/credit.json");
        initial.feeSplit = FeeSplit(5_000, 3_000, 2_000);
    }

    function initialTerms() internal pure returns (Term[] memory terms) {
        terms = new Term[](4);
        terms[DEMAND] = Term({duration: 0, multiplierMilli: 1_000, penaltyBps: 0, open: true});
        terms[DAY] = Term({duration: 1 days, multiplierMilli: 1_100, penaltyBps: 50, open: true});
        terms[WEEK] = Term({duration: 7 days, multiplierMilli: 1_500, penaltyBps: 100, open: true});
        terms[MONTH] = Term({duration: 30 days, multiplierMilli: 2_500, penaltyBps: 200, open: true});
    }

    function initialRisk() internal pure returns (RiskSettings memory) {
        return RiskSettings({
            maxLtvBps: 9_000,
            liquidationLtvBps: 9_500,
            incentiveBps: 200,
            standingBps: 5_000,
            unsecuredCapBps: 2_000,
            feeBps: 1_000,
            standingTerm: 30 days,
            grace: 7 days,
            minLoan: 10_000
        });
    }

    function _grantRoles() private {
        manager.grantRole(GOVERNOR, governor, 0);
        manager.grantRole(GUARDIAN, guardian, 0);
        manager.grantRole(REGISTRAR, registrar, 0);
        manager.grantRole(CANCELLER, canceller, 0);
        manager.setRoleGuardian(GOVERNOR, CANCELLER);
        bytes4[] memory setters = new bytes4[](7);
        setters[0] = oracle.setPolicy.selector;
        setters[1] = oracle.setRate.selector;
        setters[2] = oracle.setQuorum.selector;
        setters[3] = oracle.setBond.selector;
        setters[4] = oracle.setChallengeWindow.selector;
        setters[5] = oracle.voidProposal.selector;
        setters[6] = oracle.resumeProposals.selector;
        manager.setTargetFunctionRole(address(oracle), setters, GOVERNOR);
        _grant(address(oracle), oracle.pauseProposals.selector, GUARDIAN);
        _grant(address(rateFloat), rateFloat.setFloat.selector, GOVERNOR);
        _grant(address(feePool), feePool.setSplit.selector, GOVERNOR);
        _grant(address(payments), payments.setFee.selector, GOVERNOR);
        _grant(address(timeBank), timeBank.addTerm.selector, GOVERNOR);
        _grant(address(timeBank), timeBank.setTermOpen.selector, GOVERNOR);
        _grant(address(timeBank), timeBank.setIncomeFee.selector, GOVERNOR);
        _grant(address(timeBank), timeBank.setReleaseTime.selector, GOVERNOR);
        _grant(address(lending), lending.setRisk.selector, GOVERNOR);
        _grant(address(lending), lending.pauseBorrowing.selector, GUARDIAN);
        _grant(address(lending), lending.resumeBorrowing.selector, GOVERNOR);
        _grant(address(registry), registry.requestLink.selector, REGISTRAR);
        _grant(address(registry), registry.rejectLink.selector, CANCELLER);
    }

    function _grant(address target, bytes4 selector, uint64 role) private {
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = selector;
        manager.setTargetFunctionRole(target, selectors, role);
    }

    /// @dev Wires the rooms of the bank, as the administrator does once at deployment.
    function setRooms(address newTimeBank, address newLending, address newLease) internal {
        distributor.setRooms(newTimeBank, newLending, newLease);
        feePool.setPayees(newTimeBank, newLending);
    }

    /// @dev Says through whom members spend, as the administrator does once at deployment.
    function setSpenders(address spender) internal {
        address[] memory spenders = new address[](1);
        spenders[0] = spender;
        feePool.setSpenders(spenders);
    }

    /* POLICIES */

    function firstPolicy() internal pure returns (Policy memory) {
        return policyOf("first", 1, 2 ** 28);
    }

    /// @dev Small and within all bounds.
    function policyOf(bytes32 name, uint32 version, uint64 decayK) internal pure returns (Policy memory made) {
        made.name = name;
        made.version = version;
        made.decayK = decayK;
        made.initialRateQ24 = RATE_ONE;
        made.brackets = new Bracket[](1);
        made.brackets[0] = Bracket(0, 1000);
        made.domains = new DomainPolicy[](1);
        Knot[] memory knots = new Knot[](1);
        knots[0] = Knot(0, 1000);
        DomainPolicy memory domain = made.domains[0];
        (domain.name, domain.high, domain.bonusMilli) = ("code", 7, 1000);
        (domain.interaction, domain.originality, domain.engagement) = (knots, knots, knots);
    }

    /// @dev Registers a policy and puts it in force.
    function setPolicy(Policy memory policy) internal {
        bytes32 policyHash = policies.register(policy);
        vm.prank(governor);
        oracle.setPolicy(policyHash, "policy.json");
    }

    /* EPOCHS */

    /// @dev A header that continues from what stands now and grants `totalMint` for the same value earned.
    function nextHeader(bytes32 accountRoot, uint32 accountCount, uint64 totalMint, uint64 pot)
        internal
        view
        returns (EpochHeader memory header)
    {
        header.epoch = oracle.latestEpoch() + 1;
        header.startMs = oracle.latestEndMs();
        // The tests' clock stays far below 2^48 milliseconds.
        // forge-lint: disable-next-line(unsafe-typecast)
        header.endMs = uint48(vm.getBlockTimestamp() * 1000);
        header.policyHash = oracle.policyHash();
        header.activityRoot = keccak256(abi.encode("activities", header.epoch));
        header.activityCount = accountCount;
        header.accountRoot = accountRoot;
        header.accountCount = accountCount;
        header.activeCount = accountCount;
        header.totalEarned = totalMint - pot;
        header.totalMint = totalMint;
        header.rateQ24 = oracle.rateQ24();
        header.pot = pot;
        header.previousHeaderHash = oracle.latestHeaderHash();
        header.dataHash = keccak256(abi.encode("data", header.epoch));
        header.dataURI = "https://example.org/epochs/";
    }

    /// @dev Signatures of `count` signers from position `from` on, ascending.
    function signaturesOf(EpochHeader memory header, uint256 from, uint256 count)
        internal
        view
        returns (bytes[] memory signatures)
    {
        bytes32 digest = oracle.signingDigest(header);
        signatures = new bytes[](count);
        for (uint256 i; i < count; ++i) {
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(signerKeys[from + i], digest);
            signatures[i] = abi.encodePacked(r, s, v);
        }
    }

    function propose(EpochHeader memory header) internal {
        bytes[] memory signatures = signaturesOf(header, 0, 3);
        vm.prank(proposer);
        oracle.propose{value: BOND}(header, signatures);
    }

    function proposeAndFinalise(EpochHeader memory header) internal {
        propose(header);
        vm.warp(vm.getBlockTimestamp() + WINDOW);
        oracle.finalise(header);
    }

    /* TREES */

    /// @dev Leaves for these accounts, each with the running sums of all before it.
    function leavesOf(address[] memory accounts, uint64[] memory minted, uint64[] memory cumulative)
        internal
        pure
        returns (AccountLeaf[] memory leaves)
    {
        leaves = new AccountLeaf[](accounts.length);
        uint64 running;
        for (uint32 i; i < accounts.length; ++i) {
            running += minted[i];
            leaves[i] = AccountLeaf({
                index: i,
                account: accounts[i],
                activityEnd: i + 1,
                earned: minted[i],
                runningEarned: running,
                runningActive: i + 1,
                standing: cumulative[i],
                mint: minted[i],
                runningMint: running,
                cumulativeMint: cumulative[i]
            });
        }
    }

    function hashesOf(AccountLeaf[] memory leaves) internal view returns (bytes32[] memory hashes) {
        hashes = new bytes32[](leaves.length);
        for (uint256 i; i < leaves.length; ++i) {
            hashes[i] = hasher.hash(leaves[i]);
        }
    }

    /// @dev All levels, leaves first, padded with zero hashes to a power of two.
    function levelsOf(bytes32[] memory hashes) internal pure returns (bytes32[][] memory levels) {
        uint256 depth;
        while (2 ** depth < hashes.length) ++depth;
        levels = new bytes32[][](depth + 1);
        levels[0] = new bytes32[](2 ** depth);
        for (uint256 i; i < hashes.length; ++i) {
            levels[0][i] = hashes[i];
        }
        for (uint256 level = 1; level <= depth; ++level) {
            levels[level] = new bytes32[](2 ** (depth - level));
            for (uint256 i; i < levels[level].length; ++i) {
                levels[level][i] = EpochTree.hashPair(levels[level - 1][2 * i], levels[level - 1][2 * i + 1]);
            }
        }
    }

    function rootOf(bytes32[][] memory levels) internal pure returns (bytes32) {
        return levels[levels.length - 1][0];
    }

    function proofOf(bytes32[][] memory levels, uint256 index) internal pure returns (bytes32[] memory proof) {
        proof = new bytes32[](levels.length - 1);
        for (uint256 level; level < proof.length; ++level) {
            proof[level] = levels[level][(index >> level) ^ 1];
        }
    }

    function rangeProofOf(bytes32[][] memory levels, uint256 first, uint256 count)
        internal
        pure
        returns (bytes32[] memory proof)
    {
        bytes32[] memory found = new bytes32[](2 * levels.length);
        uint256 used;
        for (uint256 level; level + 1 < levels.length; ++level) {
            uint256 left = first >> level;
            uint256 right = (first + count - 1) >> level;
            if (left % 2 == 1) found[used++] = levels[level][left - 1];
            if (right % 2 == 0) found[used++] = levels[level][right + 1];
        }
        proof = new bytes32[](used);
        for (uint256 i; i < used; ++i) {
            proof[i] = found[i];
        }
    }
}
