"""The stage of the bank's commands, for the tests of the ledger's history."""

from tests.cli.bank_stage import set_stage, stage  # noqa: F401 - importing makes them fixtures
