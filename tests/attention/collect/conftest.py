"""The stage of the bank's commands, for the tests of the ledger's history."""

from tests.cli.bank_stage import stage  # noqa: F401 - importing makes it a fixture
