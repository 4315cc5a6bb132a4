"""No demo epoch can be voided (`python -m tests.challenge.soundness --demo` tries this checkout's own).

demo on trial
|- every epoch, while it is pending: every challenge there is is refused, by specification and contract
`- the demo goes on as if nothing had happened: its audit is green
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.challenge.demo_epochs import try_demo
from tests.demo.community import community
from timebank_chain.spec.epoch_challenge import PROOFS


def test_every_demo_epoch_survives_every_challenge(tmp_path: Path) -> None:
    history, folder = tmp_path / "history", tmp_path / "demo"
    history.mkdir()
    folder.mkdir()
    story, trials = try_demo(community(history), folder, limit=1_000, each=4)
    assert [trial.epoch for trial in trials] == [1, 2, 3, 4]
    assert story.audit is not None
    assert story.audit.ok
    by_spec, on_chain = Counter[str](), Counter[str]()
    for trial in trials:
        assert trial.activities > 0
        by_spec += trial.by_spec
        on_chain += trial.on_chain
    # Every function was shown leaves that stand and found nothing wrong with them, on both sides.
    for counts in (by_spec, on_chain):
        assert {name.split()[0] for name in counts if name.endswith("NotAFault")} == set(PROOFS)
        assert not [name for name in counts if " class " in name]
    assert by_spec.total() > 20_000
    assert on_chain.total() > 500
