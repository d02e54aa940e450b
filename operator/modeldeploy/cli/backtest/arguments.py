"""What the command is told."""

from pathlib import Path
from typing import Any


def add_arguments(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    one = commands.add_parser(
        "backtest",
        help="judge the past anew: which metrics would have fired, when, and what would have been done",
        description="Replay what a metrics store or a file holds through the judgement of rollouts. "
        "Nothing is changed and no cluster is asked.",
        epilog="Times are ISO 8601 (UTC where no zone is named), a span before now such as 2h, or now. "
        "Exit code 0: replayed; 2: wrong arguments or input.",
    )
    one.add_argument("-f", "--filename", type=Path, required=True, metavar="FILE", help="the manifest")
    one.add_argument("-n", "--namespace", help="its namespace (default: the manifest's, else default)")
    source = one.add_mutually_exclusive_group()
    source.add_argument(
        "--prometheus",
        metavar="URL",
        help="the metrics store (default: the manifest's spec.monitoring.prometheus.url)",
    )
    one.add_argument(
        "--credentials",
        type=Path,
        metavar="FOLDER",
        help="what the metrics store is shown: files named token, or username and password, tls.crt and "
        "tls.key, ca.crt",
    )
    source.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help="series instead: a table (.csv), or OpenMetrics text with times",
    )
    one.add_argument(
        "--reference",
        type=Path,
        metavar="FILE",
        help="what drift from training is measured from: the file that the training job exported (default: "
        "the ConfigMap, if it stands in the manifest's file)",
    )
    one.add_argument(
        "--from", dest="begin", metavar="T", help="the first look (default: a file's first time)"
    )
    one.add_argument(
        "--to", dest="end", metavar="T", help="the last look (default: now, or a file's last time)"
    )
    one.add_argument("--stable", metavar="R", help="the stable revision (default: learned from the requests)")
    one.add_argument("--candidate", metavar="R", help="the revision on trial (default: learned likewise)")
    one.add_argument("--revision", metavar="R", help="watch this one alone, as after a rollout")
    one.add_argument("-o", "--output", choices=["table", "json"], default="table")
    one.add_argument(
        "--picture", type=Path, metavar="FILE", help="draw the values and bounds as well: .png, .svg or .pdf"
    )
