"""Members and placeholders; see activity.tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from timebank_chain.activity import (
    Members,
    checksum_address,
    is_placeholder,
    load_members,
    placeholder_address,
)
from timebank_chain.errors import MembersError

#: Examples of EIP-55 itself.
ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
OTHER = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"


def members_file(folder: Path, text: str) -> Path:
    file = folder / "members.csv"
    file.write_text(text, "utf-8")
    return file


def test_address_by_member_and_placeholder_without(tmp_path: Path) -> None:
    members = load_members(members_file(tmp_path, f"member,address\nada,{ADDRESS}\n\n bob , {OTHER} \n"))
    assert len(members) == 2
    assert members.account_of("ada") == bytes.fromhex(ADDRESS[2:])
    assert members.account_of("bob") == bytes.fromhex(OTHER[2:])
    assert members.account_of("cy") == placeholder_address("cy") == Members().account_of("cy")


def test_placeholder_is_pinned_and_recognised() -> None:
    account = placeholder_address("ada")
    assert checksum_address(account) == "0x74696d6562616e6bb0C394B7386BE30BA37a7d86"
    assert is_placeholder(account)
    assert not is_placeholder(bytes.fromhex(ADDRESS[2:]))
    assert placeholder_address("adb") != account


@pytest.mark.parametrize("address", [ADDRESS, OTHER, "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB"])
def test_checksum_is_eip_55(address: str) -> None:
    assert checksum_address(bytes.fromhex(address[2:])) == address


@pytest.mark.parametrize(
    ("text", "message", "row"),
    [
        (f"name,address\nada,{ADDRESS}\n", "the header is 'name,address'", ":1"),
        ("", "the header is ''", ":1"),
        (f"member,address\nada,{ADDRESS.lower()}\n", "carries no checksum", ":2, field 'address'"),
        (
            f"member,address\nada,{ADDRESS.replace('aAe', 'aaE')}\n",
            "has a wrong checksum",
            ":2, field 'address'",
        ),
        (f"member,address\nada,{ADDRESS[:-1]}\n", "not an address", ":2, field 'address'"),
        ("member,address\nada,0x" + "0" * 40 + "\n", "zero address", ":2, field 'address'"),
        (f"member,address\nada,{checksum_address(placeholder_address('b'))}\n", "is a placeholder", ":2"),
        (f"member,address\n,{ADDRESS}\n", "member is empty", ":2, field 'member'"),
        (f"member,address\nada,{ADDRESS},x\n", "3 cells, not 2", ":2"),
        (
            f"member,address\nada,{ADDRESS}\nada,{OTHER}\n",
            "'ada' stands already in row 2",
            ":3, field 'member'",
        ),
        (
            f"member,address\nada,{ADDRESS}\nbob,{ADDRESS}\n",
            "belongs already to row 2",
            ":3, field 'address'",
        ),
        (f'member,address\n"ada,{ADDRESS}\n', "not a CSV file", ""),
    ],
)
def test_refuses_a_bad_file_naming_the_row(tmp_path: Path, text: str, message: str, row: str) -> None:
    file = members_file(tmp_path, text)
    with pytest.raises(MembersError, match=message) as caught:
        load_members(file)
    assert caught.value.where is not None
    assert caught.value.where.startswith(f"{file}{row}")
    assert caught.value.hint


def test_refuses_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(MembersError, match="cannot read"):
        load_members(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(b"member,address\ncaf\xe9,x\n")
    with pytest.raises(MembersError, match="UTF-8"):
        load_members(tmp_path / "latin.csv")
