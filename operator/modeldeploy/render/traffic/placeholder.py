"""The certificate that a router shows while the Secret that it was promised isn't there.

Envoy watches files that it could load once, and never looks again at what was missing at first. So something
has to be there. The key is public: no client that checks certificates takes this one for anybody's.
"""

import base64

_LINE = 64
_CERTIFICATE = (
    "MIIBuzCCAWGgAwIBAgIUIN3Z4DMS8Yf4kA0d5PyNEUw+rHIwCgYIKoZIzj0EAwIw"
    "MjEwMC4GA1UEAwwnbm8tY2VydGlmaWNhdGUteWV0Lm1vZGVsZGVwbG95LmludGVy"
    "bmFsMCAXDTI2MTEyMjE5MDgwMloYDzIxMjYxMDI5MTkwODAyWjAyMTAwLgYDVQQD"
    "DCduby1jZXJ0aWZpY2F0ZS15ZXQubW9kZWxkZXBsb3kuaW50ZXJuYWwwWTATBgcq"
    "hkjOPQIBBggqhkjOPQMBBwNCAARIVRvuL4ap2bTSTo+2xmmCJOZvPOGMJnX5WDh/"
    "Hqr04sgLGtALeF3u64CrBWW7+BKO+6IQwcdd+xSOjijdc2Fuo1MwUTAdBgNVHQ4E"
    "FgQUhyy+Uznn6WVgVqAKN85fPe53vIwwHwYDVR0jBBgwFoAUhyy+Uznn6WVgVqAK"
    "N85fPe53vIwwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiAz332h"
    "BDbMnfHcDfOFUDBB9kDomb2kG8C6WwMhilHyYwIhAPnMumDCt4EQ0jjn1ONJMYUj"
    "T2jkRc+JEwBtOlB1v6OX"
)
_KEY = (
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgGNpjIBS488ANvgHF"
    "2QDMCDvexZ1ZJaiYWNvpRO8uabuhRANCAARIVRvuL4ap2bTSTo+2xmmCJOZvPOGM"
    "JnX5WDh/Hqr04sgLGtALeF3u64CrBWW7+BKO+6IQwcdd+xSOjijdc2Fu"
)


def files() -> dict[str, str]:
    """Certificate and key in PEM, by the names that they have in a Secret of type kubernetes.io/tls."""
    return {"tls.crt": _pem("CERTIFICATE", _CERTIFICATE), "tls.key": _pem("PRIVATE KEY", _KEY)}


def der() -> bytes:
    """The certificate as it is shown in a handshake."""
    return base64.b64decode(_CERTIFICATE)


def _pem(label: str, body: str) -> str:
    lines = [body[start : start + _LINE] for start in range(0, len(body), _LINE)]
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""))
