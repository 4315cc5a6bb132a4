"""The contract hashes a header as we do, whatever its fields hold."""

from dataclasses import replace

from tests.epoch.test_header import header_of
from tests.world import World
from timebank_chain.epoch.header import HEADER_FIELDS


def test_the_oracle_hashes_headers_as_we_do(embedded_world: World) -> None:
    oracle = embedded_world.timebank.rate_oracle
    base = header_of()
    headers = [base, replace(base, data_uri=""), replace(base, data_uri="a" * 70)]
    for field, _, kind in HEADER_FIELDS:
        if kind.startswith("uint") and field != "start_ms":
            headers.append(replace(base, **{field: (1 << int(kind[4:])) - 1}))
        elif kind == "bytes32":
            headers.append(replace(base, **{field: bytes(range(32))}))
    for header in headers:
        assert oracle.hash_header(header) == header.hash()
