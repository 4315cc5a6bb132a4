"""A library that is not installed.

extra
├── an installed module is returned
├── one that is missing: usage error, the hint installs it
└── a missing part of an installed package is that package's own trouble
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from timebank_chain.attention.extra import need
from timebank_chain.errors import UsageError


def test_installed_module_is_returned() -> None:
    assert need("json.decoder").__name__ == "json.decoder"


def test_missing_library_names_the_command_that_installs_it() -> None:
    with pytest.raises(UsageError, match="needs no_such_library") as error:
        need("no_such_library.part")
    assert error.value.hint == "pip install 'timebank-chain[models]'"


def test_broken_package_keeps_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_there.py").write_text("import its_missing_dependency\n")
    # A package that is there but lacks something of its own can't be had but by writing one.
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="its_missing_dependency"):
        need("half_there")
    sys.modules.pop("half_there", None)
