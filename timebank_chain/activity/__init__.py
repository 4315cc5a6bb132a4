"""What people did: takes records from files, repositories and dumps, gives one clean activity table.

``sources`` read, `clean` validates and orders, `ActivityTable` holds, `Members` says who is who.
"""

from timebank_chain.activity.clean import CleanResult, Reject, clean, write_rejects
from timebank_chain.activity.members import (
    Members,
    checksum_address,
    is_placeholder,
    load_members,
    placeholder_address,
)
from timebank_chain.activity.record import (
    PUBLIC_SALT_KEY,
    RawRecord,
    Thousandths,
    canonical_record,
    canonical_records,
    load_salt_key,
    record_id,
    record_ids,
)
from timebank_chain.activity.table import ActivityTable, read_activity, write_activity

__all__ = [
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
