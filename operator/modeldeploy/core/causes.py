"""Cause before action: the one table from what moved to why, and from why to what is done.

A row fits if all that it needs was seen and nothing that it excludes. The first row that fits is the cause,
so the order matters: what protects users comes first. `docs/judgement.md` shows this table, and a test
compares the two.
"""

from collections.abc import Iterable

from modeldeploy.api.v1alpha1.cause import Cause
from modeldeploy.core.cause import Action, Diagnosis, Row, Scene, Sight, What, Who


def _of(*what: What, by: Iterable[Who]) -> Sight:
    return Sight(frozenset(what), frozenset(by))


_ANSWERS = (What.OUTPUTS, What.ERRORS, What.LATENCY, What.LOAD, What.QUALITY, What.FEEDBACK)
_LABELS = (What.QUALITY, What.FEEDBACK)
_WORLD = (Who.BOTH, Who.WORSE, Who.STABLE, Who.UNSURE)
_SETTLED = (Who.STABLE, Who.BOTH, Who.UNSURE)
"""Of stable; what is known of a candidate that has just gone says nothing of it."""
_INPUTS = _of(What.INPUTS, by=_WORLD)
_OUTPUTS = _of(What.OUTPUTS, by=Who)
_LOOK_AT_CALLERS = "see what callers send now; retrain on it if it stays so"
_ASK_FOR_LABELS = "a metric of labels or feedback would tell drift from a fault; look at recent answers"
_LOOK_AT_LABELS = "what is right has changed for the same inputs; retrain with recent labels"
_MORE_PODS = "raise spec.server.replicas.max or spec.server.resources"

TABLE = (
    Row(
        Cause.CANDIDATE_AND_WORLD,
        Action.ROLL_BACK,
        on_trial=True,
        needs=(_of(*_ANSWERS, by=[Who.WORSE]),),
        drifts=True,
        seen="answers of both, the candidate's worse than stable's",
        leads="all traffic returns at once; what moved stable is told, as after a rollout",
        mend="both need a look: the candidate, and what has changed around stable",
    ),
    Row(
        Cause.CANDIDATE,
        Action.ROLL_BACK,
        on_trial=True,
        needs=(_of(*_ANSWERS, by=[Who.CANDIDATE]),),
        seen="answers of the candidate, not of stable",
        leads="all traffic returns at once",
    ),
    Row(
        Cause.INTERFERENCE,
        Action.RETURN_TRAFFIC,
        on_trial=True,
        needs=(_of(*_ANSWERS, by=[Who.BOTH]),),
        lately=True,
        seen="answers of both, within 10 minutes after the candidate got more requests or copies",
        leads="its traffic returns: if stable recovers the candidate is rolled back, else it was the world",
        mend="give the candidate nodes, GPUs and back ends of its own, or a smaller share",
    ),
    Row(
        Cause.ASSIGNMENT_BIASED,
        Action.HOLD,
        on_trial=True,
        off_weight=True,
        seen="the candidate's share of requests is off its weight, beyond chance",
        leads="the step waits",
        mend="see that only the weights lead requests to either version: no header, no client of its own",
    ),
    Row(
        Cause.ASSIGNMENT_BIASED,
        Action.HOLD,
        on_trial=True,
        needs=(_of(What.INPUTS, by=[Who.CANDIDATE]),),
        lacks=(_of(*_ANSWERS, by=Who),),
        seen="inputs of the candidate, and nothing else",
        leads="the step waits; inputs never blame a candidate",
        mend="see that both versions are asked alike, and measure their inputs alike",
    ),
    Row(
        Cause.DATA_DRIFT,
        Action.HOLD,
        on_trial=True,
        needs=(_INPUTS, _of(*_ANSWERS, by=_WORLD)),
        drifts=True,
        seen="inputs and answers of both",
        leads="the step waits for a human; `DriftDetected`",
        mend=_LOOK_AT_CALLERS,
    ),
    Row(
        Cause.DATA_DRIFT,
        Action.TELL,
        on_trial=True,
        needs=(_INPUTS,),
        drifts=True,
        seen="inputs of both, and nothing else",
        leads="the rollout goes on; `DriftDetected`",
        mend=_LOOK_AT_CALLERS,
    ),
    Row(
        Cause.CONCEPT_DRIFT,
        Action.HOLD,
        on_trial=True,
        needs=(_of(*_LABELS, by=[Who.BOTH]),),
        drifts=True,
        seen="quality or feedback of both, not inputs",
        leads="the step waits for a human; `DriftDetected`",
        mend=_LOOK_AT_LABELS,
    ),
    Row(
        Cause.SUSPECTED,
        Action.HOLD,
        on_trial=True,
        needs=(_of(What.OUTPUTS, by=[Who.BOTH]),),
        drifts=True,
        seen="outputs of both, not inputs",
        leads="the step waits for a human; `DriftDetected`",
        mend=_ASK_FOR_LABELS,
    ),
    Row(
        Cause.CAPACITY,
        Action.HOLD,
        on_trial=True,
        needs=(_of(What.LATENCY, What.LOAD, by=[Who.BOTH]),),
        lacks=(_OUTPUTS,),
        seen="latency or load of both, neither inputs nor outputs",
        leads="the step waits for a human",
        mend=_MORE_PODS,
    ),
    Row(
        Cause.UNCERTAIN,
        Action.HOLD,
        on_trial=True,
        needs=(_of(*What, by=Who),),
        seen="anything else: errors of both, a number without a count behind it, clumps not known yet",
        leads="the step waits for a human",
    ),
    Row(
        Cause.DATA_DRIFT,
        Action.TELL,
        on_trial=False,
        needs=(_of(What.INPUTS, by=_SETTLED),),
        drifts=True,
        seen="inputs of stable, with or without its answers",
        leads="`DriftDetected`; a broken bound also recommends retraining",
        mend=_LOOK_AT_CALLERS,
    ),
    Row(
        Cause.CONCEPT_DRIFT,
        Action.FLAG,
        on_trial=False,
        needs=(_of(*_LABELS, by=_SETTLED),),
        drifts=True,
        seen="quality or feedback of stable, not its inputs",
        leads="`DriftDetected` and `RetrainingRecommended`",
        mend=_LOOK_AT_LABELS,
    ),
    Row(
        Cause.SUSPECTED,
        Action.TELL,
        on_trial=False,
        needs=(_of(What.OUTPUTS, by=_SETTLED),),
        drifts=True,
        seen="outputs of stable, not its inputs, and no labels",
        leads="`DriftDetected`; a broken bound also recommends retraining",
        mend=_ASK_FOR_LABELS,
    ),
    Row(
        Cause.CAPACITY,
        Action.ADAPT,
        on_trial=False,
        needs=(_of(What.LATENCY, What.LOAD, by=_SETTLED),),
        seen="latency or load of stable, neither inputs nor outputs",
        leads="more pods are suggested, or made (`spec.adapt`)",
        mend=_MORE_PODS,
    ),
    Row(
        Cause.UNCERTAIN,
        Action.TELL,
        on_trial=False,
        needs=(_of(*What, by=_SETTLED),),
        seen="anything else of stable, such as errors",
        leads="it is told",
    ),
)


DRIFTS = frozenset(row.cause for row in TABLE if row.drifts)
"""Causes that `DriftDetected` names."""


def diagnose(scene: Scene) -> Diagnosis:
    """The first row that fits, with the metrics that it was found by; no cause if nothing moved."""
    row = next((row for row in TABLE if row.fits(scene)), None)
    if row is None:
        return Diagnosis()
    found = [one for sight in row.needs for one in sight.among(scene.moved)]
    names = tuple(dict.fromkeys(one.metric for one in found))
    return Diagnosis(row.cause, row.action, names, row.off_weight, row.drifts, row.mend)


def mend_of(cause: Cause) -> str:
    """What people can do about a cause; empty where that goes without saying."""
    return next((row.mend for row in TABLE if row.cause is cause), "")
