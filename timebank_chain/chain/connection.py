"""One way to reach a chain: a JSON-RPC address, or a chain embedded in this process.

``connect("embedded")`` starts eth-tester's PyEVM: a complete chain with funded accounts, no files
and no other process; it ends with this one. Anything else is an ``http(s)://`` address or the path
of a node's IPC socket.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import requests
from web3 import HTTPProvider, IPCProvider, Web3
from web3.exceptions import Web3Exception
from web3.middleware import ExtraDataToPOAMiddleware
from web3.types import RPCEndpoint, RPCResponse

from timebank_chain.errors import ConnectionFailed, UsageError, WrongChain

if TYPE_CHECKING:
    from eth_tester import EthereumTester

EMBEDDED = "embedded"
REQUEST_TIMEOUT_SECONDS = 30
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


def shown_url(url: str) -> str:
    """Return the address without what may be secret in it (user, password, path, query).

    >>> shown_url("https://user:pass@node.example:8545/v3/key?x=1")
    'https://node.example:8545/...'
    """
    parts = urlsplit(url)
    if not parts.scheme:
        return url
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}" + ("/..." if parts.path.strip("/") or parts.query else "")


def _no_answer(url: str, reason: object) -> ConnectionFailed:
    return ConnectionFailed(
        f"no node answers at {shown_url(url)} ({type(reason).__name__})",
        hint="start a node (for example `npx anvil`) or give its address with --rpc-url or ETH_RPC_URL",
    )


class _NodeProvider(HTTPProvider):
    """HTTP to a node; a node that is down becomes :class:`ConnectionFailed` with its address."""

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        try:
            return super().make_request(method, params)
        except (requests.RequestException, ValueError) as error:
            # ValueError: something answers, but not in JSON.
            raise _no_answer(str(self.endpoint_uri), error) from error


@dataclass(frozen=True)
class Connection:
    """A chain that answers.

    Attributes
    ----------
    w3
        The web3 instance everything goes through.
    chain_id
        Chain id (EIP-155), asked once when connecting.
    url
        Address as given; ``embedded`` for the chain in this process.
    embedded
        Whether the chain lives (and ends) with this process.
    """

    w3: Web3
    chain_id: int
    url: str
    embedded: bool
    _tester: EthereumTester | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        return f"Connection(chain_id={self.chain_id}, url={shown_url(self.url)!r})"

    def block_number(self) -> int:
        """Return the number of the newest block."""
        return int(self.w3.eth.block_number)

    def timestamp(self) -> int:
        """Return the newest block's time in Unix seconds."""
        return int(self.w3.eth.get_block("latest")["timestamp"])

    def pending_timestamp(self) -> int:
        """Return the time a transaction sent now would see, at least, in Unix seconds."""
        return int(self.w3.eth.get_block(self.simulation_block)["timestamp"])

    def next_block_number(self) -> int:
        """Return the number a transaction's simulation sees: of the block to come, or of the newest one."""
        return int(self.w3.eth.get_block(self.simulation_block)["number"])

    def balance_wei(self, address: str) -> int:
        """Return an account's balance of the chain's own coin, in wei."""
        return int(self.w3.eth.get_balance(Web3.to_checksum_address(address)))

    def code_at(self, address: str) -> bytes:
        """Return the runtime code at an address; empty when there is none."""
        return bytes(self.w3.eth.get_code(Web3.to_checksum_address(address)))

    def require_chain(self, chain_id: int) -> None:
        """Ask the node again which chain it serves.

        Raises
        ------
        WrongChain
            If it is not ``chain_id``: the node behind an address can change.
        """
        serving = int(self.w3.eth.chain_id)
        if serving != chain_id:
            raise WrongChain(
                f"{shown_url(self.url)} serves chain {serving}, the deployment is on chain {chain_id}",
                hint="give the right node with --rpc-url, or the right manifest with --deployment",
            )

    def can_advance_time(self) -> bool:
        """Return whether this is a development chain whose clock can be moved."""
        return self._tester is not None or self._mines_on_demand

    @cached_property
    def _mines_on_demand(self) -> bool:
        version = str(self.w3.client_version).lower()
        return "anvil" in version or "hardhat" in version

    @property
    def simulation_block(self) -> Literal["latest", "pending"]:
        """The block to simulate a transaction on.

        A development node mines only when something is sent: its newest block may be hours old, and a
        window that has closed since would still look open. Real nodes keep up, and not all of them know
        a pending block.
        """
        return "pending" if self._tester is None and self._mines_on_demand else "latest"

    def advance_time(self, seconds: int) -> int:
        """Move a development chain's clock forward and mine one block.

        Parameters
        ----------
        seconds
            How far, at least 1.

        Returns
        -------
        int
            The new block's time, Unix seconds.

        Raises
        ------
        UsageError
            If the chain is a real one: its clock moves by itself.
        """
        if seconds < 1:
            raise UsageError(f"time moves forward by whole seconds, not by {seconds}")
        if self._tester is not None:
            # eth-tester names the time of the block after the one it mines. Where that block's time is the
            # present already (the last one is long ago), a shorter step would be one back.
            soonest = int(self._tester.get_block_by_number("pending")["timestamp"]) + 1
            self._tester.time_travel(max(self.timestamp() + seconds + 1, soonest))
        elif self.can_advance_time():
            self._development_request("evm_increaseTime", [seconds])
            self._development_request("evm_mine", [])
        else:
            raise UsageError(
                f"the clock of chain {self.chain_id} cannot be moved",
                hint="wait, or use the embedded chain or anvil",
            )
        return self.timestamp()

    def catch_up(self) -> None:
        """Bring the embedded chain's clock to this machine's; other chains have their own.

        eth-tester counts one second per block, so after a pause it lags behind the world.
        """
        if self._tester is not None:
            behind = int(time.time()) - self.timestamp()
            if behind > 0:
                self.advance_time(behind)

    def development_keys(self) -> list[bytes]:
        """Return the private keys of the embedded chain's funded accounts; empty elsewhere."""
        if self._tester is None:
            return []
        return [key.to_bytes() for key in self._tester.backend.account_keys]

    def _development_request(self, method: str, params: list[Any]) -> None:
        answer = self.w3.provider.make_request(RPCEndpoint(method), params)
        if "error" in answer:
            raise ConnectionFailed(f"{shown_url(self.url)} refuses {method}: {answer['error']}")


def connect(url: str = EMBEDDED) -> Connection:
    """Reach a chain.

    Parameters
    ----------
    url
        ``embedded``, an ``http(s)://`` JSON-RPC address, or the path of an IPC socket.

    Raises
    ------
    ConnectionFailed
        If no node answers there.
    UsageError
        If the address is none of these.
    """
    if url == EMBEDDED:
        return _embedded()
    if url.startswith(("http://", "https://")):
        timeout = {"timeout": REQUEST_TIMEOUT_SECONDS}
        w3 = Web3(_NodeProvider(url, request_kwargs=timeout, session=_direct_session(url)))
    elif Path(url).is_socket():
        w3 = Web3(IPCProvider(url, timeout=REQUEST_TIMEOUT_SECONDS))
    else:
        raise UsageError(
            f"not an address of a node: {url!r}",
            hint="write http://127.0.0.1:8545, the path of an IPC socket, or `embedded`",
        )
    # Proof-of-authority chains put more into a block's extra data than web3 accepts by default.
    w3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
    _ask_for_no_more(w3)
    try:
        chain_id = int(w3.eth.chain_id)
    except (OSError, Web3Exception) as error:
        raise _no_answer(url, error) from error
    return Connection(w3=w3, chain_id=chain_id, url=url, embedded=False)


def _ask_for_no_more(w3: Web3) -> None:
    """Take out of web3 what asks for the chain's id before every call, to compare it with one the call names.

    Ours name none, and `require_chain` asks before anything is sent. An audit makes half as many requests.
    """
    w3.middleware_onion.remove("validation")


def _direct_session(url: str) -> requests.Session | None:
    """Return a session that reaches a node on this machine directly; web3's own for any other.

    No proxy leads to this machine, and looking for one in the environment took a tenth of an audit.
    """
    if url.startswith("https://") or urlsplit(url).hostname not in _THIS_MACHINE:
        return None
    session = requests.Session()
    session.trust_env = False
    return session


def _embedded() -> Connection:
    from eth_tester import EthereumTester, PyEVMBackend
    from web3 import EthereumTesterProvider

    from timebank_chain.chain.embedded_gas import needed_gas

    tester = EthereumTester(PyEVMBackend())
    tester.backend.chain.gas_estimator = needed_gas
    w3 = Web3(EthereumTesterProvider(tester))
    _ask_for_no_more(w3)
    # web3 asks for all accounts three times before each call that names no sender, to take the first.
    w3.eth.default_account = w3.eth.accounts[0]
    return Connection(w3=w3, chain_id=int(w3.eth.chain_id), url=EMBEDDED, embedded=True, _tester=tester)
