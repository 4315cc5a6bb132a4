"""Where acts come from: each source takes a file, folder or repository and yields raw records.

Sources judge nothing beyond what only they can know (a bot, a shallow boundary); the cleaner does the
rest. ``csv_rows``, ``jsonl_rows``, ``parquet_rows`` read tables in our columns or through a mapping,
``git_acts`` a repository, ``stackexchange_acts`` a data dump.
"""

from timebank_chain.activity.sources.csv import csv_rows
from timebank_chain.activity.sources.git import DEFAULT_BOTS, git_acts
from timebank_chain.activity.sources.jsonl import jsonl_rows
from timebank_chain.activity.sources.parquet import parquet_rows
from timebank_chain.activity.sources.stackexchange import stackexchange_acts

__all__ = ["DEFAULT_BOTS", "csv_rows", "git_acts", "jsonl_rows", "parquet_rows", "stackexchange_acts"]
