// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IPolicyRegistry} from "../interfaces/IPolicyRegistry.sol";
import {Bracket, DomainPolicy, Knot, Policy, PolicyHash} from "../libraries/Policy.sol";
import {PolicyRegistry} from "../oracle/PolicyRegistry.sol";
import {Checks} from "./Vm.sol";

/// @title PolicyRegistryTest: every bound of a policy, on both sides, and what stands for one
/// @dev That Python gives the same hashes and the same refusals is tested in tests/parity.
contract PolicyRegistryTest is Checks {
    uint64 private constant MAX_DECAY_K = 103_957_133_576_908_769;
    uint64 private constant MAX_TIME_MS = 2 ** 48 - 1;
    uint32 private constant MAX_QUALITY = 1e9;

    /// @dev Of `_identity()`, as `timebank policy hash identity` prints it.
    bytes32 private constant IDENTITY_HASH = 0x9169efdb76f7bfa4d4266caa90dfa17fc918536e1bac34e34340ecdd55e32d7f;

    PolicyRegistry private registry;

    /// @dev State of the generator of policies.
    uint256 private seed;

    function setUp() public {
        registry = PolicyRegistry(ship("PolicyRegistry", ""));
    }

    /* REGISTERING */

    function testFuzz_HonestPoliciesAreRegistered(uint256 random, address caller) public {
        Policy memory policy = _honest(random);
        bytes32 policyHash = PolicyHash.hashPolicy(policy);
        isTrue(!registry.isRegistered(policyHash), "not registered before");
        vm.expectEmit();
        emit IPolicyRegistry.PolicyRegistered(policyHash, policy);
        vm.prank(caller);
        equal(registry.register(policy), policyHash, "hash");
        isTrue(registry.isRegistered(policyHash), "registered");
    }

    function testFuzz_ASecondTimeNothingHappens(uint256 random) public {
        Policy memory policy = _honest(random);
        bytes32 policyHash = registry.register(policy);
        vm.recordLogs();
        equal(registry.register(policy), policyHash, "hash");
        equal(vm.getRecordedLogs().length, 0, "events");
        isTrue(registry.isRegistered(policyHash), "registered");
    }

    function testFuzz_NothingElseIsRegistered(uint256 random, bytes32 other) public {
        if (other == registry.register(_honest(random))) return;
        isTrue(!registry.isRegistered(other), "not registered");
    }

    function test_TheLargestPolicyIsRegisteredWithinATransaction() public {
        Policy memory policy = _largest();
        uint256 before = gasleft();
        registry.register(policy);
        // Osaka lets a transaction have 2^24 gas. Half of it is taken, calldata and this call's encoding included.
        atMost(before - gasleft(), 2 ** 24, "gas");
    }

    /* WHAT STANDS FOR A POLICY */

    /// @dev The shipped policy "identity", hashed by another implementation.
    function test_HashOfAKnownPolicy() public {
        Policy memory policy = _identity();
        equal(PolicyHash.hashPolicy(policy), IDENTITY_HASH, "hash");
        equal(registry.register(policy), IDENTITY_HASH, "registered hash");
    }

    function testFuzz_HashIsThatOfTheWordsWrittenOut(uint256 random) public {
        Policy memory policy = _honest(random);
        bytes memory hashes;
        for (uint256 i; i < policy.domains.length; ++i) {
            hashes = bytes.concat(hashes, keccak256(abi.encode(policy.domains[i])));
        }
        bytes memory head = bytes.concat(
            policy.name,
            bytes32(uint256(policy.version)),
            bytes32(uint256(policy.decayK)),
            bytes32(uint256(policy.epochMs)),
            bytes32(uint256(policy.initialRateQ24)),
            keccak256(abi.encode(policy.brackets)),
            keccak256(hashes)
        );
        equal(PolicyHash.hashPolicy(policy), keccak256(head), "hash");
    }

    function testFuzz_EveryPartChangesTheHash(uint256 random, uint8 which) public {
        Policy memory policy = _honest(random);
        bytes32 before = PolicyHash.hashPolicy(policy);
        DomainPolicy memory domain = policy.domains[_random(0, policy.domains.length - 1)];
        which = uint8(which % 13);
        if (which == 0) policy.name ^= bytes32(uint256(1));
        else if (which == 1) policy.version ^= 1;
        else if (which == 2) policy.decayK ^= 1;
        else if (which == 3) policy.epochMs ^= 1;
        else if (which == 4) policy.initialRateQ24 ^= 1;
        else if (which == 5) policy.brackets[policy.brackets.length - 1].slopeMilli ^= 1;
        else if (which == 6) domain.name ^= bytes32(uint256(1));
        else if (which == 7) domain.windowMs ^= 1;
        else if (which == 8) domain.low ^= 1;
        else if (which == 9) domain.high ^= 1;
        else if (which == 10) domain.bonusMilli ^= 1;
        else if (which == 11) domain.penaltyMilli ^= 1;
        else domain.engagement[domain.engagement.length - 1].rankMilli ^= 1;
        isTrue(PolicyHash.hashPolicy(policy) != before, "the hash changed");
    }

    /* THE HEAD'S BOUNDS */

    function test_RevertWhen_ThePolicyHasNoName() public {
        Policy memory policy = _identity();
        policy.name = 0;
        _refused(policy, abi.encodeWithSelector(IPolicyRegistry.PolicyWithoutName.selector));
    }

    function test_RevertWhen_TheVersionIsZero() public {
        Policy memory policy = _identity();
        policy.version = 0;
        _refused(policy, abi.encodeWithSelector(IPolicyRegistry.VersionIsZero.selector));
    }

    function testFuzz_RevertWhen_TheDecayConstantIsOutOfRange(uint64 decayK) public {
        Policy memory policy = _identity();
        policy.decayK = decayK;
        _refusedUnless(
            decayK != 0 && decayK <= MAX_DECAY_K,
            policy,
            abi.encodeWithSelector(IPolicyRegistry.DecayOutOfRange.selector, decayK, MAX_DECAY_K)
        );
    }

    function test_RevertWhen_TheDecayConstantIsJustBeyondItsBounds() public {
        testFuzz_RevertWhen_TheDecayConstantIsOutOfRange(0);
        testFuzz_RevertWhen_TheDecayConstantIsOutOfRange(1);
        testFuzz_RevertWhen_TheDecayConstantIsOutOfRange(MAX_DECAY_K);
        testFuzz_RevertWhen_TheDecayConstantIsOutOfRange(MAX_DECAY_K + 1);
    }

    function testFuzz_RevertWhen_TheEpochIsTooLong(uint64 epochMs) public {
        Policy memory policy = _identity();
        policy.epochMs = epochMs;
        _refusedUnless(
            epochMs <= MAX_TIME_MS,
            policy,
            abi.encodeWithSelector(IPolicyRegistry.EpochTooLong.selector, epochMs, MAX_TIME_MS)
        );
    }

    function test_RevertWhen_TheEpochIsJustTooLong() public {
        testFuzz_RevertWhen_TheEpochIsTooLong(MAX_TIME_MS);
        testFuzz_RevertWhen_TheEpochIsTooLong(MAX_TIME_MS + 1);
    }

    function test_RevertWhen_TheFirstRateIsZero() public {
        Policy memory policy = _identity();
        policy.initialRateQ24 = 0;
        _refused(policy, abi.encodeWithSelector(IPolicyRegistry.InitialRateIsZero.selector));
        policy.initialRateQ24 = type(uint64).max;
        registry.register(policy);
    }

    /* THE BRACKETS' BOUNDS */

    function test_RevertWhen_ThereAreNoneOrTooManyBrackets() public {
        Policy memory policy = _identity();
        policy.brackets = new Bracket[](0);
        _refused(policy, abi.encodeWithSelector(IPolicyRegistry.BadBracketCount.selector, 0, 8));
        policy.brackets = _brackets(9);
        _refused(policy, abi.encodeWithSelector(IPolicyRegistry.BadBracketCount.selector, 9, 8));
        policy.brackets = _brackets(8);
        registry.register(policy);
    }

    function testFuzz_RevertWhen_TheFirstBracketDoesNotBeginAtZero(uint32 from) public {
        Policy memory policy = _identity();
        policy.brackets = _brackets(1);
        policy.brackets[0].fromMultipleMilli = from;
        _refusedUnless(from == 0, policy, abi.encodeWithSelector(IPolicyRegistry.FirstBracketNotAtZero.selector, from));
    }

    function testFuzz_RevertWhen_BracketsDoNotAscend(uint8 position, uint32 from) public {
        Policy memory policy = _identity();
        policy.brackets = _brackets(8);
        uint256 at = within(position, 1, 7);
        uint32 previous = policy.brackets[at - 1].fromMultipleMilli;
        from = uint32(within(from, 0, 2 * uint256(previous)));
        policy.brackets[at].fromMultipleMilli = from;
        if (from > previous && at < 7) policy.brackets[at + 1].fromMultipleMilli = type(uint32).max - 7;
        for (uint256 i = at + 2; i < 8 && from > previous; ++i) {
            policy.brackets[i].fromMultipleMilli = policy.brackets[i - 1].fromMultipleMilli + 1;
        }
        _refusedUnless(
            from > previous,
            policy,
            abi.encodeWithSelector(IPolicyRegistry.BracketsNotAscending.selector, at, from, previous)
        );
    }

    function testFuzz_RevertWhen_ASlopeIsTooSteep(uint8 position, uint16 slope) public {
        Policy memory policy = _identity();
        policy.brackets = _brackets(8);
        uint256 at = within(position, 0, 7);
        uint16 most = at == 0 ? 1000 : policy.brackets[at - 1].slopeMilli;
        policy.brackets[at].slopeMilli = slope;
        for (uint256 i = at + 1; i < 8 && slope <= most; ++i) {
            policy.brackets[i].slopeMilli = 0;
        }
        _refusedUnless(
            slope <= most, policy, abi.encodeWithSelector(IPolicyRegistry.SlopeTooSteep.selector, at, slope, most)
        );
    }

    function test_RevertWhen_ASlopeIsJustTooSteep() public {
        testFuzz_RevertWhen_ASlopeIsTooSteep(0, 1000);
        testFuzz_RevertWhen_ASlopeIsTooSteep(0, 1001);
        testFuzz_RevertWhen_ASlopeIsTooSteep(3, _brackets(8)[2].slopeMilli);
        testFuzz_RevertWhen_ASlopeIsTooSteep(3, _brackets(8)[2].slopeMilli + 1);
    }

    /* THE DOMAINS' BOUNDS */

    function test_RevertWhen_ThereAreNoneOrTooManyDomains() public {
        Policy memory policy = _identity();
        policy.domains = new DomainPolicy[](0);
        _refused(policy, abi.encodeWithSelector(IPolicyRegistry.BadDomainCount.selector, 0, 64));
        policy.domains = _domains(65);
        _refused(policy, abi.encodeWithSelector(IPolicyRegistry.BadDomainCount.selector, 65, 64));
        policy.domains = _domains(64);
        registry.register(policy);
    }

    function testFuzz_RevertWhen_ADomainHasNoName(uint8 position) public {
        (Policy memory policy, uint256 at) = _withDomains(position);
        policy.domains[at].name = 0;
        _refused(policy, abi.encodeWithSelector(IPolicyRegistry.DomainWithoutName.selector, at));
    }

    function testFuzz_RevertWhen_TwoDomainsHaveOneName(uint8 position, uint8 other) public {
        Policy memory policy = _identity();
        policy.domains = _domains(64);
        uint256 first = within(other, 0, 62);
        uint256 second = within(position, first + 1, 63);
        bytes32 name = policy.domains[first].name;
        policy.domains[second].name = name;
        _refused(policy, abi.encodeWithSelector(IPolicyRegistry.DomainNamedTwice.selector, second, first, name));
    }

    function testFuzz_RevertWhen_ABandIsTooHigh(uint8 position, bool isLow, uint32 band) public {
        (Policy memory policy, uint256 at) = _withDomains(position);
        if (isLow) (policy.domains[at].low, policy.domains[at].high) = (band, 0);
        else policy.domains[at].high = band;
        _refusedUnless(
            band <= MAX_QUALITY,
            policy,
            abi.encodeWithSelector(IPolicyRegistry.BandTooHigh.selector, at, band, MAX_QUALITY)
        );
    }

    function test_RevertWhen_ABandIsJustTooHigh() public {
        for (uint32 over; over < 2; ++over) {
            testFuzz_RevertWhen_ABandIsTooHigh(3, true, MAX_QUALITY + over);
            testFuzz_RevertWhen_ABandIsTooHigh(3, false, MAX_QUALITY + over);
        }
    }

    function testFuzz_RevertWhen_LowIsAboveHigh(uint8 position, uint32 low, uint32 high) public {
        (Policy memory policy, uint256 at) = _withDomains(position);
        (low, high) = (uint32(low % (MAX_QUALITY + 1)), uint32(high % (MAX_QUALITY + 1)));
        (policy.domains[at].low, policy.domains[at].high) = (low, high);
        _refusedUnless(
            high == 0 || low <= high,
            policy,
            abi.encodeWithSelector(IPolicyRegistry.LowAboveHigh.selector, at, low, high)
        );
    }

    function test_RevertWhen_LowIsJustAboveHigh() public {
        testFuzz_RevertWhen_LowIsAboveHigh(0, 1, 0);
        testFuzz_RevertWhen_LowIsAboveHigh(0, 1, 1);
        testFuzz_RevertWhen_LowIsAboveHigh(0, 2, 1);
    }

    function testFuzz_RevertWhen_ABonusIsOutOfRange(uint8 position, uint16 bonus) public {
        (Policy memory policy, uint256 at) = _withDomains(position);
        policy.domains[at].bonusMilli = bonus;
        _refusedUnless(
            bonus >= 1000 && bonus <= 4000,
            policy,
            abi.encodeWithSelector(IPolicyRegistry.BonusOutOfRange.selector, at, bonus, 1000, 4000)
        );
    }

    function test_RevertWhen_ABonusIsJustOutOfRange() public {
        testFuzz_RevertWhen_ABonusIsOutOfRange(1, 999);
        testFuzz_RevertWhen_ABonusIsOutOfRange(1, 1000);
        testFuzz_RevertWhen_ABonusIsOutOfRange(1, 4000);
        testFuzz_RevertWhen_ABonusIsOutOfRange(1, 4001);
    }

    function testFuzz_RevertWhen_APenaltyIsTooLarge(uint8 position, uint16 penalty) public {
        (Policy memory policy, uint256 at) = _withDomains(position);
        policy.domains[at].penaltyMilli = penalty;
        _refusedUnless(
            penalty <= 4000, policy, abi.encodeWithSelector(IPolicyRegistry.PenaltyTooLarge.selector, at, penalty, 4000)
        );
    }

    function test_RevertWhen_APenaltyIsJustTooLarge() public {
        testFuzz_RevertWhen_APenaltyIsTooLarge(1, 4000);
        testFuzz_RevertWhen_APenaltyIsTooLarge(1, 4001);
    }

    /* THE KNOTS' BOUNDS */

    function testFuzz_RevertWhen_ThereAreNoneOrTooManyKnots(uint8 position, uint8 dimension, uint8 count) public {
        (Policy memory policy, uint256 at) = _withDomains(position);
        uint256 which = within(dimension, 0, 2);
        uint256 knots = within(count, 0, 20);
        _setKnots(policy.domains[at], which, _knots(knots));
        _refusedUnless(
            knots != 0 && knots <= 16,
            policy,
            abi.encodeWithSelector(IPolicyRegistry.BadKnotCount.selector, at, which, knots, 16)
        );
    }

    function testFuzz_RevertWhen_KnotsDoNotAscend(uint8 position, uint8 dimension, uint8 knot, uint32 raw) public {
        (Policy memory policy, uint256 at) = _withDomains(position);
        uint256 which = within(dimension, 0, 2);
        uint256 last = within(knot, 1, 15);
        Knot[] memory knots = _knots(last + 1);
        uint32 previous = knots[last - 1].rawMilli;
        raw = uint32(within(raw, 0, 2 * uint256(previous) + 1));
        knots[last].rawMilli = raw;
        _setKnots(policy.domains[at], which, knots);
        _refusedUnless(
            raw > previous,
            policy,
            abi.encodeWithSelector(IPolicyRegistry.KnotsNotAscending.selector, at, which, last, raw, previous)
        );
    }

    function testFuzz_RevertWhen_ARankIsTooHigh(uint8 position, uint8 dimension, uint8 knot, uint16 rank) public {
        (Policy memory policy, uint256 at) = _withDomains(position);
        uint256 which = within(dimension, 0, 2);
        uint256 index = within(knot, 0, 15);
        Knot[] memory knots = _knots(16);
        knots[index].rankMilli = rank;
        _setKnots(policy.domains[at], which, knots);
        _refusedUnless(
            rank <= 10_000,
            policy,
            abi.encodeWithSelector(IPolicyRegistry.RankTooHigh.selector, at, which, index, rank, 10_000)
        );
    }

    function test_RevertWhen_ARankIsJustTooHigh() public {
        testFuzz_RevertWhen_ARankIsTooHigh(0, 0, 0, 10_000);
        testFuzz_RevertWhen_ARankIsTooHigh(0, 2, 15, 10_001);
    }

    /* POLICIES */

    function _identity() private pure returns (Policy memory policy) {
        policy.name = "identity";
        policy.version = 1;
        policy.decayK = 6_684_486;
        policy.initialRateQ24 = 2 ** 24;
        policy.brackets = new Bracket[](3);
        (policy.brackets[0], policy.brackets[1]) = (Bracket(0, 1000), Bracket(2000, 750));
        policy.brackets[2] = Bracket(5000, 500);
        policy.domains = new DomainPolicy[](1);
        DomainPolicy memory domain = policy.domains[0];
        (domain.name, domain.bonusMilli) = ("general", 1000);
        Knot[] memory knots = new Knot[](2);
        knots[1] = Knot(10_000, 10_000);
        (domain.interaction, domain.originality, domain.engagement) = (knots, knots, knots);
    }

    /// @dev A policy of five domains, and the position of one of them.
    function _withDomains(uint256 position) private pure returns (Policy memory policy, uint256 at) {
        policy = _identity();
        policy.domains = _domains(5);
        at = within(position, 0, 4);
    }

    function _domains(uint256 count) private pure returns (DomainPolicy[] memory domains) {
        domains = new DomainPolicy[](count);
        for (uint256 i; i < count; ++i) {
            domains[i] = _identity().domains[0];
            domains[i].name = bytes32(i + 1);
        }
    }

    /// @dev Steps at 0, 1000, 2000 ... with slopes 900, 800, 700 ...
    function _brackets(uint256 count) private pure returns (Bracket[] memory brackets) {
        brackets = new Bracket[](count);
        (uint32 from, uint16 slope) = (0, 900);
        for (uint256 i; i < count; ++i) {
            brackets[i] = Bracket(from, slope);
            (from, slope) = (from + 1000, slope - 100);
        }
    }

    function _knots(uint256 count) private pure returns (Knot[] memory knots) {
        knots = new Knot[](count);
        Knot memory next;
        for (uint256 i; i < count; ++i) {
            knots[i] = Knot(next.rawMilli, next.rankMilli);
            (next.rawMilli, next.rankMilli) = (next.rawMilli + 1000, next.rankMilli + 100);
        }
    }

    function _setKnots(DomainPolicy memory domain, uint256 dimension, Knot[] memory knots) private pure {
        if (dimension == 0) domain.interaction = knots;
        else if (dimension == 1) domain.originality = knots;
        else domain.engagement = knots;
    }

    /// @dev Every list as long as it may be, every number as large.
    function _largest() private pure returns (Policy memory policy) {
        policy = Policy({
            name: bytes32(type(uint256).max),
            version: type(uint32).max,
            decayK: MAX_DECAY_K,
            epochMs: MAX_TIME_MS,
            initialRateQ24: type(uint64).max,
            brackets: _brackets(8),
            domains: _domains(64)
        });
        Knot[] memory knots = new Knot[](16);
        for (uint32 i; i < 16; ++i) {
            knots[i] = Knot(type(uint32).max - 15 + i, 10_000);
        }
        for (uint256 i; i < 64; ++i) {
            policy.domains[i] = DomainPolicy({
                name: bytes32(type(uint256).max - i),
                windowMs: type(uint48).max,
                low: MAX_QUALITY,
                high: MAX_QUALITY,
                bonusMilli: 4000,
                penaltyMilli: 4000,
                interaction: knots,
                originality: knots,
                engagement: knots
            });
        }
    }

    /// @dev A policy within all bounds, each number drawn from the whole of its range.
    function _honest(uint256 random) private returns (Policy memory policy) {
        seed = random;
        policy.name = bytes32(_random(1, type(uint256).max - 1));
        policy.version = uint32(_random(1, type(uint32).max));
        policy.decayK = uint64(_random(1, MAX_DECAY_K));
        policy.epochMs = uint64(_random(0, MAX_TIME_MS));
        policy.initialRateQ24 = uint64(_random(1, type(uint64).max));
        policy.brackets = new Bracket[](_random(1, 8));
        for (uint256 i = 1; i < policy.brackets.length; ++i) {
            uint256 previous = policy.brackets[i - 1].fromMultipleMilli;
            policy.brackets[i].fromMultipleMilli = uint32(_random(previous + 1, type(uint32).max - 8 + i));
        }
        uint16 steepest = 1000;
        for (uint256 i; i < policy.brackets.length; ++i) {
            steepest = uint16(_random(0, steepest));
            policy.brackets[i].slopeMilli = steepest;
        }
        policy.domains = new DomainPolicy[](_random(1, 6));
        for (uint256 i; i < policy.domains.length; ++i) {
            DomainPolicy memory domain = policy.domains[i];
            domain.name = bytes32(_random(1, type(uint256).max - 1));
            domain.windowMs = uint48(_random(0, type(uint48).max));
            domain.high = _random(0, 3) == 0 ? 0 : uint32(_random(1, MAX_QUALITY));
            domain.low = uint32(_random(0, domain.high == 0 ? MAX_QUALITY : domain.high));
            domain.bonusMilli = uint16(_random(1000, 4000));
            domain.penaltyMilli = uint16(_random(0, 4000));
            domain.interaction = _randomKnots();
            domain.originality = _randomKnots();
            domain.engagement = _randomKnots();
        }
    }

    function _randomKnots() private returns (Knot[] memory knots) {
        knots = new Knot[](_random(1, 16));
        uint32 raw;
        for (uint256 i; i < knots.length; ++i) {
            raw = uint32(_random(i == 0 ? 0 : raw + 1, type(uint32).max - 16 + i));
            knots[i] = Knot(raw, uint16(_random(0, 10_000)));
        }
    }

    /// @dev The next number between two, both included.
    function _random(uint256 low, uint256 high) private returns (uint256) {
        seed = uint256(keccak256(abi.encode(seed)));
        return within(seed, low, high);
    }

    /* REFUSALS */

    function _refused(Policy memory policy, bytes memory refusal) private {
        vm.expectRevert(refusal);
        registry.register(policy);
        isTrue(!registry.isRegistered(PolicyHash.hashPolicy(policy)), "not registered");
    }

    function _refusedUnless(bool honest, Policy memory policy, bytes memory refusal) private {
        if (!honest) return _refused(policy, refusal);
        isTrue(registry.isRegistered(registry.register(policy)), "registered");
    }
}
