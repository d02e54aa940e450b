"""The aggregated discovery service (ADS) that configures the routers.

`XdsServer` takes route tables per namespace and brings every connected router of that namespace to them at
once. `TokenAuthenticator` decides which namespace a router belongs to.
"""

from modeldeploy.adapters.xds.server import Nack, Tls, XdsServer
from modeldeploy.adapters.xds.tokens import TokenAuthenticator

__all__ = ["Nack", "Tls", "TokenAuthenticator", "XdsServer"]
