"""Text and numbers of the spec with their patterns and bounds, as types."""

from typing import Annotated

from pydantic import Field, StringConstraints

DNS_LABEL_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
EPISODE_PATTERN = r"^[0-9]{8}-[0-9]{6}$"
HEADER_PATTERN = r"^[A-Za-z0-9!#$&'*+.^_|~-]+$"
HOOK_PATTERN = r"^https?://[^\s/?#@]+(/[^\s#]*)?$"
HOSTNAME_PATTERN = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
IMAGE_PATTERN = r"^[^\s]+$"
INTERVAL_PATTERN = r"^([0-9]{1,5}(\.[0-9]{1,3})?(s|m|h)|[0-9]{1,8}ms)+$"
KEY_PATTERN = r"^[-._a-zA-Z0-9]+$"
LABEL_VALUE_PATTERN = r"^[A-Za-z0-9]([-A-Za-z0-9_. ]*[A-Za-z0-9])?$"
NAME_PATTERN = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
PAIR_PATTERN = r"^[A-Za-z0-9_.*'()!:|-]+$"
PATH_PATTERN = r"^/[^\s]*$"
QUANTITY_PATTERN = r"^[0-9]+(\.[0-9]*)?([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?$"
RATIO_PATTERN = r"^[0-9]+(\.[0-9]+)?$"
REVISION_PATTERN = r"^[a-z0-9]+$"
URL_PATTERN = r"^https?://[^\s/]+(/[^\s]*)?$"
VERSION_PATTERN = r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"

Share = Annotated[int, Field(ge=1, le=100)]
Port = Annotated[int, Field(ge=1, le=65535)]
Path = Annotated[str, StringConstraints(pattern=PATH_PATTERN, max_length=256)]
Image = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=IMAGE_PATTERN)]
ModelVersion = Annotated[str, StringConstraints(pattern=VERSION_PATTERN, min_length=1, max_length=63)]
Interval = Annotated[str, StringConstraints(pattern=INTERVAL_PATTERN, max_length=32)]
ObjectName = Annotated[str, StringConstraints(pattern=DNS_LABEL_PATTERN, min_length=1, max_length=63)]
LongName = Annotated[str, StringConstraints(pattern=HOSTNAME_PATTERN, min_length=1, max_length=253)]
PortName = Annotated[str, StringConstraints(pattern=NAME_PATTERN, min_length=1, max_length=15)]
Hostname = Annotated[str, StringConstraints(pattern=HOSTNAME_PATTERN, min_length=1, max_length=253)]
HeaderName = Annotated[str, StringConstraints(pattern=HEADER_PATTERN, min_length=1, max_length=64)]
RevisionName = Annotated[str, StringConstraints(pattern=REVISION_PATTERN, min_length=1, max_length=63)]
PairValue = Annotated[str, StringConstraints(pattern=PAIR_PATTERN, min_length=1, max_length=128)]
LabelValue = Annotated[str, StringConstraints(pattern=LABEL_VALUE_PATTERN, min_length=1, max_length=63)]
HeaderValue = Annotated[str, StringConstraints(min_length=1, max_length=256)]
