"""The stage of the bank's commands, for every test here."""

from tests.cli.bank_stage import stage  # noqa: F401 - importing makes it a fixture
