// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {EpochHeader} from "../interfaces/IRateOracle.sol";
import {Decay} from "../libraries/Decay.sol";
import {AccountLeaf, ActivityLeaf, EpochTree} from "../libraries/EpochTree.sol";
import {Fairness} from "../libraries/Fairness.sol";
import {Bracket, DomainPolicy, Policy} from "../libraries/Policy.sol";
import {Quality} from "../libraries/Quality.sol";

/// @notice What somebody did, before it is valued.
struct Act {
    address account;
    bytes32 recordId;
    uint16 domain;
    uint48 occurredMs;
    uint32 interactionMilli;
    uint32 originalityMilli;
    uint32 engagementMilli;
}

/// @notice An epoch with all its leaves.
struct Made {
    EpochHeader header;
    ActivityLeaf[] activities;
    AccountLeaf[] accounts;
}

/// @title EpochMaker: values a handful of acts the way every epoch is valued
/// @dev The rules are those of the contracts' own libraries, put together here a second time. Casts are safe because the
/// tests' amounts are far below 2^63.
library EpochMaker {
    /// @notice Makes leaves and totals of a header whose times, rate and pot stand; roots and counts are left to the caller.
    /// @param acts In any order; sorted here.
    /// @param previous Accounts of the epoch before, ascending.
    function fill(Made memory made, Act[] memory acts, AccountLeaf[] memory previous, Policy memory policy)
        internal
        pure
    {
        _sort(acts);
        made.activities = _value(acts, policy, made.header.endMs);
        made.accounts = _settle(made.activities, previous, _kept(made.header, policy));
        _grant(made, policy.brackets);
    }

    /// @notice Hash of an account leaf in memory, written out: the library packs by shifts.
    function hashAccount(AccountLeaf memory leaf) internal pure returns (bytes32) {
        return keccak256(
            abi.encodePacked(
                EpochTree.ACCOUNT_TAG,
                leaf.index,
                leaf.account,
                leaf.activityEnd,
                leaf.earned,
                leaf.runningEarned,
                leaf.runningActive,
                leaf.standing,
                leaf.mint,
                leaf.runningMint,
                leaf.cumulativeMint
            )
        );
    }

    /// @dev By account, then record.
    function _sort(Act[] memory acts) private pure {
        for (uint256 i = 1; i < acts.length; ++i) {
            for (uint256 j = i; j > 0 && _above(acts[j - 1], acts[j]); --j) {
                (acts[j - 1], acts[j]) = (acts[j], acts[j - 1]);
            }
        }
    }

    function _above(Act memory one, Act memory other) private pure returns (bool) {
        if (one.account != other.account) return one.account > other.account;
        return one.recordId > other.recordId;
    }

    function _kept(EpochHeader memory header, Policy memory policy) private pure returns (uint256) {
        return Decay.weightDown(header.endMs - header.startMs, policy.decayK);
    }

    function _value(Act[] memory acts, Policy memory policy, uint48 endMs)
        private
        pure
        returns (ActivityLeaf[] memory leaves)
    {
        leaves = new ActivityLeaf[](acts.length);
        int64 running;
        for (uint32 i; i < acts.length; ++i) {
            Act memory act = acts[i];
            // forge-lint: disable-next-line(unsafe-typecast)
            int64 value = int64(_valueOf(act, policy.domains[act.domain], endMs - act.occurredMs, policy.decayK));
            running += value;
            leaves[i] = ActivityLeaf({
                index: i,
                recordId: act.recordId,
                account: act.account,
                domain: act.domain,
                occurredMs: act.occurredMs,
                interactionMilli: act.interactionMilli,
                originalityMilli: act.originalityMilli,
                engagementMilli: act.engagementMilli,
                value: value,
                running: running
            });
        }
    }

    function _valueOf(Act memory act, DomainPolicy memory domain, uint48 ageMs, uint64 decayK)
        private
        pure
        returns (int256)
    {
        uint256 quality = Quality.qualityDown(
            Quality.rankDown(domain.interaction, act.interactionMilli),
            Quality.rankDown(domain.originality, act.originalityMilli),
            Quality.rankDown(domain.engagement, act.engagementMilli)
        );
        int256 effective =
            Quality.incentiveTowardZero(quality, domain.low, domain.high, domain.bonusMilli, domain.penaltyMilli);
        return Quality.valueDown(effective, Decay.weightDown(ageMs, decayK));
    }

    /// @dev Everybody who acted or was there before, ascending, with what they earned and stand for.
    function _settle(ActivityLeaf[] memory acts, AccountLeaf[] memory previous, uint256 weightQ31)
        private
        pure
        returns (AccountLeaf[] memory leaves)
    {
        AccountLeaf[] memory found = new AccountLeaf[](acts.length + previous.length);
        uint32 count;
        uint32 act;
        uint256 before;
        while (act < acts.length || before < previous.length) {
            AccountLeaf memory leaf = found[count];
            leaf.index = count++;
            bool acted =
                before == previous.length || (act < acts.length && acts[act].account <= previous[before].account);
            leaf.account = acted ? acts[act].account : previous[before].account;
            int64 sum;
            for (; act < acts.length && acts[act].account == leaf.account; ++act) {
                sum += acts[act].value;
            }
            leaf.activityEnd = act;
            // forge-lint: disable-next-line(unsafe-typecast)
            leaf.earned = sum > 0 ? uint64(sum) : 0;
            leaf.standing = leaf.earned;
            if (before < previous.length && previous[before].account == leaf.account) {
                // forge-lint: disable-next-line(unsafe-typecast)
                leaf.standing += uint64(previous[before].standing * weightQ31 >> 31);
                leaf.cumulativeMint = previous[before++].cumulativeMint;
            }
        }
        leaves = new AccountLeaf[](count);
        for (uint256 i; i < count; ++i) {
            leaves[i] = found[i];
        }
    }

    /// @dev Running sums and totals of what was earned, then the mints by their mean.
    function _grant(Made memory made, Bracket[] memory brackets) private pure {
        EpochHeader memory header = made.header;
        (header.totalEarned, header.activeCount, header.totalMint) = (0, 0, 0);
        for (uint256 i; i < made.accounts.length; ++i) {
            AccountLeaf memory leaf = made.accounts[i];
            leaf.runningEarned = header.totalEarned += leaf.earned;
            leaf.runningActive = header.activeCount += leaf.earned > 0 ? 1 : 0;
        }
        uint256 mean = Fairness.meanDown(header.totalEarned, header.activeCount);
        for (uint256 i; i < made.accounts.length; ++i) {
            AccountLeaf memory leaf = made.accounts[i];
            uint256 counted = Fairness.phiDown(leaf.earned, mean, brackets);
            // forge-lint: disable-next-line(unsafe-typecast)
            leaf.mint = uint64(Fairness.mintDown(counted, header.rateQ24, leaf.earned, header.pot, header.totalEarned));
            leaf.runningMint = header.totalMint += leaf.mint;
            leaf.cumulativeMint += leaf.mint;
        }
    }
}
