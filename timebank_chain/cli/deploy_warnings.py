"""What speaks against a plan that can be deployed: keys that hold too much, changes nobody sees coming."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from timebank_chain.chain.deployment_plan import DeploymentPlan


def role_warnings(plan: DeploymentPlan, deployer: str) -> list[str]:
    """Return what speaks against the plan's roles, a sentence each."""
    found = []
    if plan.governor == deployer:
        found.append(
            "the governor is the deployer, which stays administrator: whoever has the key that deploys "
            "governs everything; name another one: --governor"
        )
    if plan.guardian == plan.governor:
        found.append(
            "the guardian is the governor: the key that must be at hand to pause governs everything; name "
            "another one: --guardian"
        )
    elif plan.guardian == plan.canceller:
        found.append(
            "the guardian is the canceller: it can pause, and drop every resumption that is scheduled; name "
            "another one: --canceller"
        )
    if plan.canceller == plan.governor:
        found.append(
            "the canceller is the governor: nobody else can drop what its key schedules; name another one: "
            "--canceller"
        )
    if plan.registrar == plan.canceller:
        found.append(
            "the registrar is the canceller: nobody but the wallet concerned can reject a wrong link; name "
            "another one: --registrar"
        )
    elif plan.registrar == plan.governor:
        found.append(
            "the registrar is the governor: the key that links members every day governs everything; name "
            "another one: --registrar"
        )
    if plan.governance_delay == 0:
        found.append(
            "without a governance delay changes take effect at once: nobody sees them coming, and the "
            "canceller can drop nothing; --governance-delay 12h"
        )
    return found
