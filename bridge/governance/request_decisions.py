"""What becomes of a transition request: each function takes it as it is, and returns it as it is afterwards. Pure.

A decision can be repeated: the same one again changes nothing, and the opposite one is refused.
"""

from collections.abc import Sequence
from dataclasses import replace

from bridge.errors import InvalidState, NotAllowed
from bridge.governance.gate import Finding, Gate, Verdict, overall, refusing
from bridge.governance.transition_request import ANONYMOUS, Approval, RequestStatus, TransitionRequest

_APPROVED = frozenset({RequestStatus.APPROVED, RequestStatus.APPLIED, RequestStatus.FAILED})


def approved(
    request: TransitionRequest,
    by: str,
    comment: str,
    now_ms: int,
    *,
    gates: Sequence[Gate],
    self_approval: bool,
    archives: bool | None = None,
) -> TransitionRequest:
    """Return the request with an approval; it is decided if no gate has to be asked.

    Args:
        request: the request.
        by: who approves.
        comment: why.
        now_ms: ms since the epoch.
        gates: those that guard what is asked for.
        self_approval: whether people may decide on their own requests.
        archives: whether versions in the stage are to be archived; None: as the request says.

    Raises:
        InvalidState: it was decided otherwise.
        NotAllowed: it is their own.
    """
    if request.status in _APPROVED:
        return request
    _check_pending(request, "approved")
    _check_other(request, by, self_approval=self_approval)
    waits = any(gate.mode.decides for gate in gates)
    if waits and any(one.by == by for one in request.approvals):
        return request
    found = replace(
        request,
        approvals=(*request.approvals, Approval(by, now_ms, comment)),
        archives=request.archives if archives is None else archives,
        updated_at=now_ms,
    )
    if waits:
        return found
    return _decided(found, RequestStatus.APPROVED, by, comment, now_ms)


def rejected(
    request: TransitionRequest, by: str, comment: str, now_ms: int, *, self_approval: bool
) -> TransitionRequest:
    """Return the request rejected: one rejection ends it.

    Raises:
        InvalidState: it was decided otherwise.
        NotAllowed: it is their own.
    """
    if request.status is RequestStatus.REJECTED:
        return request
    _check_pending(request, "rejected")
    _check_other(request, by, self_approval=self_approval)
    return _decided(request, RequestStatus.REJECTED, by, comment, now_ms)


def cancelled(request: TransitionRequest, by: str, comment: str, now_ms: int) -> TransitionRequest:
    """Return the request taken back.

    Raises:
        InvalidState: it was decided.
    """
    if request.status is RequestStatus.CANCELLED:
        return request
    _check_pending(request, "cancelled")
    return _decided(request, RequestStatus.CANCELLED, by, comment, now_ms)


def closed(request: TransitionRequest, why: str, now_ms: int) -> TransitionRequest:
    """Return a pending request closed by the bridge itself, because it cannot be fulfilled any more."""
    return replace(_decided(request, RequestStatus.CANCELLED, "", "", now_ms), system_comment=why)


def expired(request: TransitionRequest, now_ms: int) -> TransitionRequest:
    """Return a pending request of which the time is up."""
    why = "nobody decided in time (governance.expires)"
    return replace(_decided(request, RequestStatus.EXPIRED, "", "", now_ms), system_comment=why)


def judged(
    request: TransitionRequest, verdicts: Sequence[Verdict], gates: Sequence[Gate], now_ms: int
) -> TransitionRequest:
    """Return a pending request with the verdicts of its gates, and decided if they decide.

    A failed gate rejects. If all pass, and as many people as they ask for have approved, it is approved.
    """
    found = replace(request, verdicts=tuple(verdicts), updated_at=now_ms)
    deciding = {gate.name: gate for gate in gates if gate.mode.decides}
    ours = [one for one in verdicts if one.gate in deciding]
    if not deciding and request.approvals:
        decisive = request.approvals[-1]
        return _decided(found, RequestStatus.APPROVED, decisive.by, decisive.comment, now_ms)
    if not ours:
        return found
    result = overall(one.finding for one in ours)
    against = refusing(ours, deciding)
    if against:
        why = "; ".join(reason for one in against for reason in one.reasons)
        return _decided(found, RequestStatus.REJECTED, gate_user(against), why, now_ms)
    needed = max(gate.approvals for gate in deciding.values())
    if result is Finding.INCONCLUSIVE or len(request.approvals) < needed:
        return found
    last = request.approvals[-1] if request.approvals else None
    by, comment = (last.by, last.comment) if last else (gate_user(ours), "all checks passed")
    return _decided(found, RequestStatus.APPROVED, by, comment, now_ms)


def gate_user(verdicts: Sequence[Verdict]) -> str:
    """Return the name under which gates decide."""
    return f"gate {', '.join(one.gate for one in verdicts)}"


def applied(request: TransitionRequest, made: int, now_ms: int) -> TransitionRequest:
    """Return an approved request of which the transition was made, at ``made`` by the registry."""
    application = replace(request.application, made=made, error="")
    return replace(request, status=RequestStatus.APPLIED, application=application, updated_at=now_ms)


def failed(request: TransitionRequest, why: str, now_ms: int) -> TransitionRequest:
    """Return an approved request of which the transition cannot be made."""
    application = replace(request.application, error=why)
    return replace(
        request,
        status=RequestStatus.FAILED,
        application=application,
        system_comment=why,
        updated_at=now_ms,
    )


def _decided(
    request: TransitionRequest, status: RequestStatus, by: str, comment: str, now_ms: int
) -> TransitionRequest:
    return replace(
        request,
        status=status,
        decided_by=by,
        decided_at=now_ms,
        decision_comment=comment,
        updated_at=now_ms,
    )


def _check_pending(request: TransitionRequest, verb: str) -> None:
    if request.status is not RequestStatus.PENDING:
        who = f" by {request.decided_by}" if request.decided_by else ""
        told = "approved" if request.status in _APPROVED else request.status.value
        raise InvalidState(f"the request {request.id} was {told}{who}, and cannot be {verb} any more")


def is_own(creator: str, user: str) -> bool:
    """Whether a request of ``creator`` is known to be that of ``user``."""
    return creator == user and user != ANONYMOUS


def _check_other(request: TransitionRequest, by: str, *, self_approval: bool) -> None:
    if is_own(request.creator, by) and not self_approval:
        msg = (
            f"{by} asked for this, and nobody decides on their own request: ask somebody else, or set "
            "governance.self_approval = true"
        )
        raise NotAllowed(msg)
