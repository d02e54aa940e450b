"""What a candidate can carry: pods before requests, and no more requests than pods."""

from modeldeploy.api.v1alpha1.rollout import Surge
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.api.v1alpha1.status import Candidate
from modeldeploy.core.sizes import carried, demand, needed
from modeldeploy.core.snapshot import Snapshot
from modeldeploy.core.steps import Stage, position, stage_at, steps
from modeldeploy.core.verdicts import breaches


def next_share(spec: ModelDeploymentSpec, candidate: Candidate) -> int:
    """The share of requests, in percent, answered or copied, that comes after what the candidate has now."""
    plan = () if candidate.promoting else steps(spec)
    number = position(spec, candidate.step)
    if number >= len(plan):
        return 100
    return max(plan[number].weight, plan[number].mirror)


def resize(candidate: Candidate, snapshot: Snapshot, spec: ModelDeploymentSpec) -> Candidate:
    """The candidate with the pods that it needs for its present share; more only once it is to get more."""
    left = snapshot.observed.routers.follow(snapshot.status.traffic_generation)
    if spec.rollout.surge is Surge.NONE and candidate.step and not left:
        return candidate  # stable still answers with the pods that it is to give up
    demanded = demand(snapshot, spec, candidate.demand)
    size = max(candidate.size, needed(spec, _present_share(spec, candidate), demanded))
    if (size, demanded) == (candidate.size, candidate.demand):
        return candidate
    return candidate.model_copy(update={"size": size, "demand": demanded})


def _present_share(spec: ModelDeploymentSpec, candidate: Candidate) -> int:
    """The share of requests, in percent, that the candidate must be able to take: its step's, once edited."""
    if candidate.step == 0:
        return next_share(spec, candidate)
    stage = stage_now(spec, candidate)
    return max(candidate.weight, candidate.mirror, stage.weight, stage.mirror)


def grown(spec: ModelDeploymentSpec, candidate: Candidate, share: int) -> Candidate:
    """The candidate with the pods that it needs for a share of requests, before it gets that.

    Where there is no room for both, stable gives its pods up only once the requests have left them.
    """
    size = needed(spec, share, candidate.demand)
    if size <= candidate.size or (candidate.step and spec.rollout.surge is Surge.NONE):
        return candidate
    return candidate.model_copy(update={"size": size})


def bearable(snapshot: Snapshot, spec: ModelDeploymentSpec, candidate: Candidate, stage: Stage) -> int:
    """The share of requests, in percent, that the candidate should answer now.

    The step's, but no more than its ready pods carry; and everything while stable has no ready pod, if the
    candidate answers users already and can carry it.
    """
    able = carried(snapshot.observed.workloads.get(candidate.revision), candidate.demand)
    if has_no_fallback(snapshot):
        covers = stage.weight and able == 100 and not breaches(snapshot)  # noqa: PLR2004 - percent
        return 100 if covers else candidate.weight
    return stage.weight if spec.rollout.surge is Surge.NONE else min(stage.weight, able)


def answers_alone(snapshot: Snapshot) -> bool:
    """Whether the candidate has users and stable has no ready pod, so that traffic can't return to it."""
    candidate = snapshot.status.candidate
    workload = snapshot.observed.workloads.get(candidate.revision) if candidate else None
    return bool(candidate and candidate.weight and workload and workload.ready and has_no_fallback(snapshot))


def has_no_fallback(snapshot: Snapshot) -> bool:
    """Whether stable has no ready pod, so that nothing can return to it."""
    stable = snapshot.status.stable
    fallback = snapshot.observed.workloads.get(stable.revision) if stable else None
    return fallback is None or fallback.ready == 0


def stage_now(spec: ModelDeploymentSpec, candidate: Candidate) -> Stage:
    """The step under way as spec has it; for a plan that has none any more, what the candidate gets."""
    return stage_at(spec, candidate.step) or as_it_is(candidate)


def as_it_is(candidate: Candidate) -> Stage:
    """What the candidate gets, as a step."""
    return Stage(weight=candidate.weight, mirror=candidate.mirror, preview=candidate.preview)
