"""The only module that reads the environment.

Flags win over variables, variables over defaults. Names follow Foundry's ``cast`` where it has one.

======================== =====================================================
variable                 meaning
======================== =====================================================
ETH_RPC_URL              JSON-RPC address; ``embedded`` for a chain in process
ETH_KEYSTORE             keystore V3 file that signs
ETH_PASSWORD             *file* holding the keystore's password (never the password itself)
ETH_FROM                 address to sign as, when a folder of keystores is given
TIMEBANK_DEPLOYMENT      deployment manifest (JSON)
TIMEBANK_EPOCHS          folder of published epochs
TIMEBANK_KEYSTORES       folder of keystores, default: the user's data folder
TIMEBANK_CONTENT         folder of texts kept off chain, default: the user's data folder
TIMEBANK_SALT_KEY        *file* holding the key that salts record ids
TIMEBANK_TEST_DATA       research data for the tests
======================== =====================================================
"""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_path

ENV_RPC_URL = "ETH_RPC_URL"
ENV_KEYSTORE = "ETH_KEYSTORE"
ENV_PASSWORD = "ETH_PASSWORD"  # noqa: S105 - the name of a variable that names a file
ENV_FROM = "ETH_FROM"
ENV_DEPLOYMENT = "TIMEBANK_DEPLOYMENT"
ENV_EPOCHS = "TIMEBANK_EPOCHS"
ENV_KEYSTORES = "TIMEBANK_KEYSTORES"
ENV_CONTENT = "TIMEBANK_CONTENT"
ENV_SALT_KEY = "TIMEBANK_SALT_KEY"


def setting(name: str) -> str | None:
    """Return an environment variable, or ``None`` when it is unset or empty."""
    return os.environ.get(name) or None


def keystore_folder() -> Path:
    """Return the folder where wallets are kept."""
    chosen = setting(ENV_KEYSTORES)
    return Path(chosen) if chosen else user_data_path("timebank-chain") / "keystores"


def content_folder() -> Path:
    """Return the folder where texts are kept."""
    chosen = setting(ENV_CONTENT)
    return Path(chosen) if chosen else user_data_path("timebank-chain") / "content"
