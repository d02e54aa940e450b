"""What the API server could not check about the metrics."""

import math
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from modeldeploy.api.quantity import fraction, seconds
from modeldeploy.api.v1alpha1.drift import Drift, ReferenceSource, Statistic
from modeldeploy.api.v1alpha1.monitoring import Compare, Metric, Preset, Proof
from modeldeploy.api.v1alpha1.rules import HEADERS, QUERY_PARAMETERS
from modeldeploy.api.v1alpha1.spec import ModelDeploymentSpec
from modeldeploy.core.judgement.plan import JUDGED, QUANTILES, value
from modeldeploy.core.judgement.presets import PRESETS, Facts, Kind, Unit
from modeldeploy.core.judgement.queries import BUCKET_FAMILY
from modeldeploy.core.judgement.sources import ERRORLESS, counts_itself, has_mean_only
from modeldeploy.core.promql import QueryError, check_counters, confine, substitute

_SHORTEST, _LONGEST = 1.0, 3600.0
_LONGEST_INTEGER = 1024
_LONGEST_WINDOW = 7 * 86400.0
_AT_MOST_ONE = frozenset({Statistic.JENSEN_SHANNON, Statistic.KOLMOGOROV_SMIRNOV})
_LETTERS = "smi"
"""Last letters of units."""
_BYTES = ("Ki", "Mi", "Gi")
_FIELDS = {
    "event": (Preset.FEEDBACK_RATIO, "redo"),
    "below": (Preset.LOW_CONFIDENCE_RATIO, "50%"),
    "outputClass": (Preset.CLASS_RATIO, "cat"),
}
"""Fields that one preset needs and no other has, with an example."""


def problems(spec: ModelDeploymentSpec) -> tuple[str, ...]:
    """Sentences that name field and mend; empty if all metrics can be judged. Any spec gets an answer."""
    found = [*_monitoring(spec), *_rollout(spec)]
    names = set()
    for metric in spec.monitoring.metrics:
        where = f"spec.monitoring.metrics[{metric.name}]"
        if metric.name in names:
            found.append(f"{where}: the name stands twice; give each metric its own")
        names.add(metric.name)
        found += [f"{where}{fault}" for fault in (*_bounds(metric), *_query(metric), *_runtime(metric, spec))]
    return tuple(found)


def _monitoring(spec: ModelDeploymentSpec) -> list[str]:
    monitoring, found = spec.monitoring, []
    interval, window = seconds(monitoring.interval), seconds(monitoring.window)
    if not _SHORTEST <= interval <= _LONGEST:
        found.append(f"spec.monitoring.interval: {monitoring.interval} is out of range; choose 1s to 1h")
    if not interval <= window <= _LONGEST_WINDOW:
        found.append(
            f"spec.monitoring.window: {monitoring.window} is out of range; choose between the interval "
            f"({monitoring.interval}) and 7d"
        )
    if seconds(monitoring.warmup) > _LONGEST:
        found.append(f"spec.monitoring.warmup: {monitoring.warmup} is out of range; choose at most 1h")
    if monitoring.prometheus is not None:
        fault = _url(monitoring.prometheus.url)
        if fault:
            found.append(f"spec.monitoring.prometheus.url: {fault}")
        found += _names("queryParameters", monitoring.prometheus.query_parameters, QUERY_PARAMETERS)
        found += _names("headers", monitoring.prometheus.headers, HEADERS)
    return found


def _names(field: str, given: Iterable[str], known: Sequence[str]) -> list[str]:
    """Whether only known parameters or headers are given; a value isn't repeated, it may be a credential."""
    return [
        f"spec.monitoring.prometheus.{field}: {name} is not among those that may be set; "
        f"choose among {', '.join(known)}"
        for name in given
        if name not in known
    ]


def _url(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return f"{url!r} is not a URL ({error}); write e.g. http://prometheus.monitoring:9090"
    if not host or port == 0:
        return f"{url!r} names no host and port; write e.g. http://prometheus.monitoring:9090"
    if parts.username or parts.password:
        return "holds credentials, which all could read here; use secretName"
    if parts.query or parts.fragment:
        return f"{url!r} must end with its path; leave out everything from '?' or '#'"
    return None


def _rollout(spec: ModelDeploymentSpec) -> list[str]:
    share = spec.rollout.false_rollback
    if 0.0 < fraction(share) <= 0.5:  # noqa: PLR2004 - beyond, a coin would judge as well
        return []
    return [f"spec.rollout.falseRollback: {share} cannot be kept; choose more than 0% and at most 50%"]


def _bounds(metric: Metric) -> list[str]:
    given = [metric.preset is not None, metric.query is not None, metric.ratio is not None]
    if not any(given):
        return [": gives nothing to measure; add preset, query or ratio"]
    if sum(given) > 1:
        return [": gives more than one of preset, query and ratio; keep one"]
    if metric.drift is not None:
        return _drift(metric, metric.drift)
    if metric.max is None and metric.min is None and metric.compare is None:
        return [": has no bound; add max, min, compare or drift"]
    found = _belonging(metric)
    found += [fault for side in ("min", "max") if (fault := _unit(metric, side, getattr(metric, side)))]
    if metric.warmup is not None and (
        metric.preset is None or PRESETS[metric.preset].unit is not Unit.DURATION
    ):
        found.append(".warmup: only latencies wait for warm caches; remove it")
    if found:
        return found
    low, high = value(metric.min), value(metric.max)
    if low is not None and high is not None and high < low:
        found.append(f".max: {metric.max} is below min {metric.min}; raise max or lower min")
    if metric.compare is not None:
        found += _compare(metric)
    found += _passing(metric)
    return found


def _unit(metric: Metric, side: str, bound: int | str | None) -> str | None:
    """What is wrong with a bound's unit or size, for what the metric measures."""
    if bound is None:
        return None
    text, number = _spelled(bound), value(bound)
    fault = None
    if number is None:
        fault = f"{text} is no bound; give a number with its unit, e.g. 300ms or 1%"
    elif not math.isfinite(number):
        fault = f"{text} is too large; choose a finite number"
    elif metric.ratio is not None and not (text.endswith("%") and 0.0 <= number <= 1.0):
        fault = f"{text} is no share; give a percentage from 0% to 100%"
    elif metric.preset is not None:
        fault = _unsuited(PRESETS[metric.preset], metric.preset, side, text, number)
    return f".{side}: {fault}" if fault else None


def _unsuited(facts: Facts, preset: Preset, side: str, text: str, number: float) -> str | None:
    """What is wrong with a finite bound for what the preset measures."""
    is_share, is_memory = text.endswith("%"), text.endswith(_BYTES)
    is_time = text[-1] in _LETTERS and not is_memory
    has_none = facts.kind in {Kind.LATENCY, Kind.COUNT} or preset is Preset.LOW_CONFIDENCE_RATIO
    fault = None
    if side == "min" and (has_none or facts.unit is Unit.DURATION):
        fault = f"{preset} has no lower bound; use max"
    elif facts.unit is Unit.DURATION and not (is_time and number > 0.0):
        fault = f"{text} is no latency; give a duration, e.g. 300ms"
    elif facts.unit is Unit.PERCENT and not (is_share and 0.0 <= number <= 1.0):
        fault = f"{text} is no share; give a percentage from 0% to 100%"
    elif facts.unit is Unit.BYTES and not (is_memory and number > 0.0):
        fault = f"{text} is no size; give it with its unit, e.g. 2Gi"
    elif facts.unit is Unit.NUMBER and (is_time or is_share or is_memory):
        fault = f"{text} has a unit that {preset} has not; give a plain number"
    return fault


def _belonging(metric: Metric) -> list[str]:
    """Fields of one preset at another, or missing at their own; and a category that isn't the preset's."""
    found = []
    given = {"event": metric.event, "below": metric.below, "outputClass": metric.output_class}
    for name, (preset, example) in _FIELDS.items():
        if metric.preset is preset and given[name] is None:
            found.append(f".{name}: is missing; preset {preset} needs it, e.g. {name}: {example}")
        if metric.preset is not preset and given[name] is not None:
            found.append(f".{name}: only preset {preset} has it; remove it")
    if metric.below is not None and not 0.0 < (value(metric.below) or 0.0) < 1.0:
        found.append(f".below: {_spelled(metric.below)} is no confidence; choose between 0% and 100%")
    if metric.preset is not None and metric.category not in PRESETS[metric.preset].categories:
        usual = " or ".join(PRESETS[metric.preset].categories)
        found.append(f".category: {metric.preset} speaks of {usual}, not {metric.category}; write {usual}")
    return found


def _spelled(bound: int | str) -> str:
    """A bound as the user wrote it, cut short; Python refuses to write integers of thousands of digits."""
    if isinstance(bound, int) and bound.bit_length() > _LONGEST_INTEGER:
        return "the bound"
    return str(bound)[:20]


def _compare(metric: Metric) -> list[str]:
    if metric.compare is None:
        return []
    found, most, least = [], metric.compare.max_ratio, metric.compare.min_ratio
    if most is None and least is None:
        found.append(".compare: compares nothing; add maxRatio or minRatio")
    if most is not None and not 1.0 <= float(most) <= 1000.0:  # noqa: PLR2004 - beyond, nothing is compared
        found.append(f".compare.maxRatio: {most} is out of range; choose 1 to 1000")
    if least is not None and not 0.001 <= float(least) <= 1.0:  # noqa: PLR2004 - likewise
        found.append(f".compare.minRatio: {least} is out of range; choose 0.001 to 1")
    kind = PRESETS[metric.preset].kind if metric.preset else None
    if kind is Kind.COUNT:
        found.append(f".compare: {metric.preset} are counted, not compared; use max")
    is_latency = metric.preset is not None and PRESETS[metric.preset].unit is Unit.DURATION
    if least is not None and is_latency:
        found.append(".compare.minRatio: a latency may fall as far as it can; use maxRatio")
    return found


def _passing(metric: Metric) -> list[str]:
    """What a pass can't be made of."""
    asked = "detect" if metric.detect is not None else "evidence"
    is_strict = metric.evidence is Proof.NON_INFERIOR
    if not is_strict and metric.detect is None:
        return []
    has_counts = metric.preset is not None and PRESETS[metric.preset].kind in JUDGED
    if not has_counts and metric.ratio is None:
        return [f".{asked}: needs counts; only latency and ratio presets have them, so remove it"]
    found = []
    if metric.detect is not None:
        if is_strict:
            found.append(".detect: evidence: NonInferior excludes the bound itself; remove detect")
        if not 1.0 < float(metric.detect) <= 100.0:  # noqa: PLR2004 - beyond, nothing is excluded
            found.append(f".detect: {metric.detect} is out of range; choose more than 1 and at most 100")
    if is_strict and value(metric.max) == 0.0:
        found.append(".evidence: that nothing ever happens can't be shown; raise max above 0%, or remove it")
    if is_strict and value(metric.min) == 1.0:
        found.append(".evidence: that it always happens can't be shown; lower min below 100%, or remove it")
    if is_strict and metric.compare is not None:
        found += _margins(metric.compare)
    return found


def _margins(compare: Compare) -> list[str]:
    """Comparisons that a candidate as good as stable can't be shown to keep."""
    most, least, found = compare.max_ratio, compare.min_ratio, []
    if most is not None and float(most) <= 1.0:
        fault = ".compare.maxRatio: with evidence: NonInferior no candidate as good as stable is below"
        found.append(f"{fault} {most}; write more than 1, e.g. '1.2'")
    if least is not None and float(least) >= 1.0:
        fault = ".compare.minRatio: with evidence: NonInferior no candidate as good as stable is above"
        found.append(f"{fault} {least}; write less than 1, e.g. '0.9'")
    return found


def _runtime(metric: Metric, spec: ModelDeploymentSpec) -> list[str]:
    """What the runtime doesn't export, where no router of ours counts instead of it."""
    runtime = spec.server.runtime
    if metric.preset is Preset.ERROR_RATIO and counts_itself(spec) and runtime in ERRORLESS:
        fault = f".preset: runtime {runtime} counts no errors"
        return [f"{fault}; take traffic.provider: Router, which does, or remove the metric"]
    if metric.preset in QUANTILES and metric.compare is not None and has_mean_only(spec):
        fault = f".compare: runtime {runtime} exports the mean of latencies only, which can't be compared"
        return [f"{fault}; remove compare, or take traffic.provider: Router"]
    if metric.preset in QUANTILES and metric.drift is not None and has_mean_only(spec):
        fault = f".drift: runtime {runtime} exports the mean of latencies only, and no histogram"
        return [f"{fault}; remove the metric, or take traffic.provider: Router"]
    return []


def _drift(metric: Metric, drift: Drift) -> list[str]:
    found, reference = [], drift.reference
    if metric.max is not None or metric.min is not None or metric.compare is not None:
        found.append(".drift: is judged by itself; make a metric of its own for max, min and compare")
    if metric.preset not in BUCKET_FAMILY:
        known = ", ".join(sorted(BUCKET_FAMILY))
        found.append(f".drift: needs a histogram; only {known} have one")
    if not 0.0 < drift.fail < math.inf:
        found.append(f".drift.fail: {drift.fail:g} would make any difference a breach; write e.g. 0.25")
    if drift.statistic in _AT_MOST_ONE and drift.fail > 1.0:
        found.append(
            f".drift.fail: {drift.statistic} is 1 at most and never reaches {drift.fail:g}; lower it"
        )
    if drift.warn is not None and not drift.warn < drift.fail:
        found.append(
            f".drift.warn: {drift.warn:g} is not below fail {drift.fail:g}; lower warn or raise fail"
        )
    is_file = reference.source is ReferenceSource.TRAINING
    if is_file and reference.config_map is None:
        found.append(
            ".drift.reference.configMap: is missing; name the ConfigMap that holds the training's file"
        )
    if reference.config_map is not None and not is_file:
        found.append(f".drift.reference.configMap: source {reference.source} reads no file; remove it")
    return found


def _query(metric: Metric) -> list[str]:
    if metric.query is not None:
        return _promql(".query", metric.query)
    if metric.ratio is None:
        return []
    numerator, denominator = metric.ratio.numerator, metric.ratio.denominator
    return [
        *_promql(".ratio.numerator", numerator, counters=True),
        *_promql(".ratio.denominator", denominator, counters=True),
    ]


def _promql(field: str, query: str, *, counters: bool = False) -> list[str]:
    text = substitute(query, namespace="default", name="name", revision="0123456789")
    try:
        confine(text, "default")
        if counters:
            check_counters(text)
    except QueryError as error:
        return [f"{field}: {error}"]
    return []
