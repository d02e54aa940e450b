# The operator's image. Any base with Python 3.11 or later and its venv module will do.
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/modeldeploy/bin:$PATH
RUN python3 -m venv /opt/modeldeploy
WORKDIR /src
# Dependencies first: this layer lasts until they change.
COPY pyproject.toml ./
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb')); \
print(*p['project']['dependencies'], *p['build-system']['requires'], sep='\n')" > /tmp/requirements.txt \
    && pip install --requirement /tmp/requirements.txt
COPY README.md LICENSE* ./
COPY operator operator
RUN pip install --no-deps --no-build-isolation . && pip uninstall --yes hatchling pip

FROM ${BASE_IMAGE}
COPY --from=build /opt/modeldeploy /opt/modeldeploy
ENV PATH=/opt/modeldeploy/bin:$PATH PYTHONUNBUFFERED=1
# A number, so that the kubelet can see for itself that it isn't root.
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["python", "-m", "modeldeploy"]
