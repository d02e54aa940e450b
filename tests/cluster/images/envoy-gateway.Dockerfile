# Envoy Gateway's controller; its chart relies on the entry point.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY --chmod=0755 program /usr/local/bin/envoy-gateway
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/envoy-gateway"]
