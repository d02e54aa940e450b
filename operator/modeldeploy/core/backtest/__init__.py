"""History, judged anew: which metrics would have fired when, and what would have been done about it."""

from modeldeploy.core.backtest.consequence import Action, Consequence
from modeldeploy.core.backtest.hints import hint
from modeldeploy.core.backtest.phases import Activity, Ended, Phase, Said, phase_at, phases
from modeldeploy.core.backtest.replay import Course, Firing, Replay

__all__ = [
    "Action",
    "Activity",
    "Consequence",
    "Course",
    "Ended",
    "Firing",
    "Phase",
    "Replay",
    "Said",
    "hint",
    "phase_at",
    "phases",
]
