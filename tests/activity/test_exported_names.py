"""The doors of the package: what others may import is pinned."""

from __future__ import annotations

import timebank_chain.activity
import timebank_chain.activity.sources


def test_activity_offers_exactly_these_names() -> None:
    assert timebank_chain.activity.__all__ == [
        "PUBLIC_SALT_KEY",
        "ActivityTable",
        "CleanResult",
        "Members",
        "RawRecord",
        "Reject",
        "Thousandths",
        "canonical_record",
        "canonical_records",
        "checksum_address",
        "clean",
        "is_placeholder",
        "load_members",
        "load_salt_key",
        "placeholder_address",
        "read_activity",
        "record_id",
        "record_ids",
        "write_activity",
        "write_rejects",
    ]
    assert all(hasattr(timebank_chain.activity, name) for name in timebank_chain.activity.__all__)


def test_sources_offers_exactly_these_names() -> None:
    sources = timebank_chain.activity.sources
    assert sources.__all__ == [
        "DEFAULT_BOTS",
        "csv_rows",
        "git_acts",
        "jsonl_rows",
        "parquet_rows",
        "stackexchange_acts",
    ]
    assert all(hasattr(sources, name) for name in sources.__all__)
