# metrics-server; its manifests rely on the entry point.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY --chmod=0755 program /usr/local/bin/metrics-server
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/metrics-server"]
