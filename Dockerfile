# The operator's image. Any base with Python 3.11 or later and its venv module will do.
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS tools
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/modeldeploy/bin:$PATH
RUN python3 -m venv /opt/modeldeploy
WORKDIR /src
COPY pyproject.toml ./
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb')); \
print(*p['project']['dependencies'], *p['build-system']['requires'], sep='\n')" > /tmp/requirements.txt \
    && pip install --no-compile --requirement /tmp/requirements.txt \
    && python -OO -m compileall -q /opt/modeldeploy/lib

FROM tools AS dependencies
RUN pip uninstall --yes hatchling pip

FROM tools AS product
COPY README.md LICENSE* ./
COPY operator operator
RUN pip install --no-compile --no-deps --no-build-isolation --prefix /product . \
    && python -OO -m compileall -q -s /product -p /opt/modeldeploy /product/lib

FROM ${BASE_IMAGE}
# Docstrings stay out of memory (3 MiB). The root is read-only when this runs, so all is compiled here.
ENV PYTHONOPTIMIZE=2
RUN python3 -m compileall -q -x '/(test|idlelib|lib2to3|tkinter|ensurepip|[a-z]*-packages)/' \
    "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
# Two layers: an edit of the product moves three megabytes, not its dependencies.
COPY --from=dependencies /opt/modeldeploy /opt/modeldeploy
COPY --from=product /product /opt/modeldeploy
ENV PATH=/opt/modeldeploy/bin:$PATH PYTHONUNBUFFERED=1
# A number, so that the kubelet can see for itself that it isn't root.
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["python", "-m", "modeldeploy"]
