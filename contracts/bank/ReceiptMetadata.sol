// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";

/// @notice What a receipt says about its deposit. Amounts are micro-credits.
/// @param id Number of the receipt.
/// @param symbol Short name of the credit.
/// @param principal The deposit.
/// @param duration Seconds of its term; 0 for a demand deposit.
/// @param maturesAt Unix time in seconds.
/// @param earned Income so far, before the fee on it.
/// @param worth What closing would pay now.
struct Receipt {
    uint256 id;
    string symbol;
    uint256 principal;
    uint256 duration;
    uint256 maturesAt;
    uint256 earned;
    uint256 worth;
}

/// @title ReceiptMetadata: a receipt as the document and the picture a wallet shows
/// @notice Created by the time bank, whose code it would not fit in. It keeps nothing and anybody may call it.
contract ReceiptMetadata {
    using Strings for uint256;

    /// @dev The calendar repeats after 400 years.
    uint256 private constant DAYS_IN_400_YEARS = 146_097;

    /// @notice An ERC-721 metadata document as a data address: nothing outside the chain is needed to show it.
    function uri(Receipt calldata receipt) external pure returns (string memory) {
        string memory symbol = string.concat(" ", receipt.symbol);
        string memory amount = string.concat(decimal(receipt.principal), symbol);
        string memory term = termName(receipt.duration);
        string memory matures = receipt.duration == 0 ? "any time" : isoTime(receipt.maturesAt);
        string memory earned = string.concat(decimal(receipt.earned), symbol);
        string memory worth = string.concat(decimal(receipt.worth), symbol);

        string memory name = string.concat("Deposit #", receipt.id.toString(), ": ", amount, ", ", term);
        string memory image = _image(receipt.id, amount, term, matures, earned, worth);
        string memory attributes = string.concat(
            _attribute("Amount", amount),
            ",",
            _attribute("Term", term),
            ",",
            _attribute("Matures", matures),
            ",",
            _attribute("Earned so far", earned),
            ",",
            _attribute("Worth if closed now", worth)
        );
        string memory document = string.concat(
            '{"name":"',
            Strings.escapeJSON(name),
            '","description":"A deposit in the time bank. Who holds this receipt disposes of the deposit: ',
            "closing it pays what it is worth. Income is a share of what others paid in; none is promised.",
            '","image":"',
            image,
            '","attributes":[',
            attributes,
            "]}"
        );
        return string.concat("data:application/json;base64,", Base64.encode(bytes(document)));
    }

    /// @notice Micro-credits as credits with six decimals: 269108441 gives "269.108441".
    function decimal(uint256 amount) public pure returns (string memory) {
        return string.concat((amount / 1e6).toString(), ".", _padded(amount % 1e6, 6));
    }

    /// @notice A term in words: "demand", "1 day", "30 days", "36 hours" or "90 seconds".
    function termName(uint256 duration) public pure returns (string memory) {
        if (duration == 0) return "demand";
        if (duration % 1 days == 0) return _counted(duration / 1 days, "day");
        if (duration % 1 hours == 0) return _counted(duration / 1 hours, "hour");
        return _counted(duration, "second");
    }

    /// @notice Unix seconds as ISO 8601 in UTC: 1800000000 gives "2027-01-15T08:00:00Z".
    function isoTime(uint256 timestamp) public pure returns (string memory) {
        uint256 day = timestamp / 1 days;
        uint256 year = 1970 + day / DAYS_IN_400_YEARS * 400;
        day %= DAYS_IN_400_YEARS;
        while (day >= (_isLeap(year) ? 366 : 365)) {
            day -= _isLeap(year) ? 366 : 365;
            ++year;
        }
        uint256 month = 1;
        while (day >= _daysIn(month, year)) {
            day -= _daysIn(month, year);
            ++month;
        }
        string memory date = string.concat(_padded(year, 4), "-", _padded(month, 2), "-", _padded(day + 1, 2));
        uint256 second = timestamp % 1 days;
        return string.concat(
            date,
            "T",
            _padded(second / 1 hours, 2),
            ":",
            _padded(second % 1 hours / 1 minutes, 2),
            ":",
            _padded(second % 1 minutes, 2),
            "Z"
        );
    }

    function _image(
        uint256 id,
        string memory amount,
        string memory term,
        string memory matures,
        string memory earned,
        string memory worth
    ) private pure returns (string memory) {
        string memory head = string.concat(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 400 400' font-family='system-ui,sans-serif'>",
            "<rect width='400' height='400' fill='#10233f'/>",
            "<circle cx='350' cy='52' r='20' fill='none' stroke='#f2b84b' stroke-width='3'/>",
            "<path d='M350 40v12l8 6' fill='none' stroke='#f2b84b' stroke-width='3' stroke-linecap='round'/>"
        );
        string memory svg = string.concat(
            head,
            _text(58, 18, "#9fb6d6", string.concat("Time bank receipt #", id.toString())),
            _text(132, 30, "#ffffff", _escapeXml(amount)),
            _text(172, 20, "#f2b84b", term),
            _row(236, "Matures", matures),
            _row(288, "Earned so far", _escapeXml(earned)),
            _row(340, "Worth if closed now", _escapeXml(worth)),
            "</svg>"
        );
        return string.concat("data:image/svg+xml;base64,", Base64.encode(bytes(svg)));
    }

    function _row(uint256 y, string memory label, string memory value) private pure returns (string memory) {
        return string.concat(_text(y, 14, "#9fb6d6", label), _text(y + 22, 18, "#ffffff", value));
    }

    function _text(uint256 y, uint256 size, string memory colour, string memory content)
        private
        pure
        returns (string memory)
    {
        return string.concat(
            "<text x='32' y='",
            y.toString(),
            "' font-size='",
            size.toString(),
            "' fill='",
            colour,
            "'>",
            content,
            "</text>"
        );
    }

    function _attribute(string memory trait, string memory value) private pure returns (string memory) {
        return string.concat('{"trait_type":"', trait, '","value":"', Strings.escapeJSON(value), '"}');
    }

    function _counted(uint256 count, string memory unit) private pure returns (string memory) {
        return string.concat(count.toString(), " ", unit, count == 1 ? "" : "s");
    }

    function _padded(uint256 number, uint256 width) private pure returns (string memory digits) {
        digits = number.toString();
        while (bytes(digits).length < width) digits = string.concat("0", digits);
    }

    function _isLeap(uint256 year) private pure returns (bool) {
        return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    }

    function _daysIn(uint256 month, uint256 year) private pure returns (uint256) {
        if (month == 2) return _isLeap(year) ? 29 : 28;
        return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
    }

    /// @dev The symbol is whatever the credit was created with; it must not break the picture.
    function _escapeXml(string memory text) private pure returns (string memory escaped) {
        bytes memory raw = bytes(text);
        for (uint256 i; i < raw.length; ++i) {
            if (raw[i] == "&") escaped = string.concat(escaped, "&amp;");
            else if (raw[i] == "<") escaped = string.concat(escaped, "&lt;");
            else if (raw[i] == ">") escaped = string.concat(escaped, "&gt;");
            else escaped = string(bytes.concat(bytes(escaped), raw[i]));
        }
    }
}
