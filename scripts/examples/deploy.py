"""Deploy the whole system with web3 and the project's own clients.

On the embedded chain (the default) nothing else is needed; it ends with this process:

    .venv/bin/python scripts/examples/deploy.py

On a node, sign with a keystore; the manifest says where everything is:

    timebank wallet create --password-file pw          # then send it some coin for gas
    .venv/bin/python scripts/examples/deploy.py --rpc-url http://127.0.0.1:8545 \\
        --keystore KEYSTORE.json --password-file pw --deployment deployment.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from timebank_chain.chain import Connection, LocalSigner, connect, deploy, open_timebank, unlock
from timebank_chain.chain.deployment_plan import DeploymentPlan
from timebank_chain.chain.keystore import read_password
from timebank_chain.valuation.policy import load_policy


def main(arguments: Sequence[str] | None = None, connection: Connection | None = None) -> None:
    """Deploy; ``connection`` is given by the tests, which run all examples on one embedded chain."""
    parser = argparse.ArgumentParser(description="Deploy the whole system.")
    parser.add_argument("--rpc-url", default="embedded")
    parser.add_argument("--keystore", type=Path, help="keystore file that signs")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--deployment", type=Path, help="where to write the manifest")
    parser.add_argument("--policy", default="identity")
    options = parser.parse_args(arguments)

    # 1. A chain, and a key to sign with.
    connection = connection or connect(options.rpc_url)
    if options.keystore:
        signer = unlock(options.keystore, read_password(options.password_file))
    elif connection.embedded:
        signer = LocalSigner(connection.development_keys()[0])
    else:
        parser.error("a node needs --keystore and --password-file")

    # 2. What is to be deployed. Here one person holds every role and signs alone; a real system has a
    #    quorum of several signers, a governor with a delay, and a challenge window of hours or days.
    policy = load_policy(options.policy)
    plan = DeploymentPlan(
        policy=policy,
        rate_q24=policy.initial_rate_q24,
        signers=(signer.address,),
        threshold=1,
        governor=signer.address,
        guardian=signer.address,
        registrar=signer.address,
        canceller=signer.address,
        challenge_window=60,
        answer_time=5,
        governance_delay=0,
        link_delay=60,
    )

    # 3. Twelve transactions. Each is written to the manifest before it is sent: run this again after an
    #    interruption and it goes on where it stopped.
    deployment = deploy(connection, signer, plan, options.deployment, progress=print)

    # 4. A client for every contract.
    timebank = open_timebank(connection, deployment)
    print(f"{timebank.attention_credit.symbol()}: supply {timebank.attention_credit.total_supply()}")


if __name__ == "__main__":
    main()
