# Two images of one program, for a node and for a cluster:
#
#   buildah build --target exporter --tag slicewatch:0.1.0 .        the DaemonSet's, also doctor, why, status, lint, record
#   buildah build --target slo --tag slicewatch-slo:0.1.0 .         slo run and its companions, with polars
#
# docker build takes the same arguments. `make image` builds both, runs them and says how large they are: docs/install.md.
#
# The base is pinned by its tag: Debian's security updates come with a rebuild. For one that does not move, name a digest:
# --build-arg BASE=docker.io/library/debian@sha256:… (packages are then still those of the day).
# The Python packages are those of requirements/, to the hash of each file, and only wheels: nothing is compiled or run to install
# them. What builds our own wheel is pinned to its version (constraints.txt) and stays outside.
ARG BASE=docker.io/library/debian:trixie-slim

# The interpreter, from Debian: its security team keeps it, and there is no pip in it.
FROM ${BASE} AS python
# A pinned version would be gone from Debian's mirrors with the next security update.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/cache/debconf/* /var/log/apt /var/log/dpkg.log /var/log/alternatives.log

FROM python AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ONLY_BINARY=:all:
RUN python3 -m venv /pip && python3 -m venv --without-pip /opt/slicewatch
COPY pyproject.toml constraints.txt README.md LICENSE slicewatch.py ./
COPY requirements requirements
COPY exporter exporter
COPY slo slo
COPY toolkit toolkit
# A site's own index, and its authority: --secret=id=pip,src=pip.conf --secret=id=ca,src=ca.crt, with `cert = /run/secrets/ca`.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    PIP_CONSTRAINT=/src/constraints.txt /pip/bin/pip wheel --no-deps --wheel-dir /wheels .

FROM build AS exporter-files
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    /pip/bin/pip --python /opt/slicewatch/bin/python install --no-compile --require-hashes --requirement requirements/exporter.txt \
    && /pip/bin/pip --python /opt/slicewatch/bin/python install --no-compile --no-deps /wheels/slicewatch-*.whl
# Of the Kubernetes client only what authenticates and connects is used (exporter/sources/kubernetes_api.py). It loads its
# copy for asyncio and its generated models and calls when they are asked for, which they never are: 124 of its 126 MB.
# tests/deploy/test_image.py runs these steps and has what is left watch an API server.
WORKDIR /opt/slicewatch/lib
RUN rm -r python3.*/site-packages/kubernetes/aio \
        python3.*/site-packages/kubernetes/client/api/[a-z]* \
        python3.*/site-packages/kubernetes/client/models/[a-z]* \
    && /opt/slicewatch/bin/python -m compileall -q .

FROM build AS slo-files
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    /pip/bin/pip --python /opt/slicewatch/bin/python install --require-hashes --requirement requirements/slo.txt \
    && /pip/bin/pip --python /opt/slicewatch/bin/python install --no-deps /wheels/slicewatch-*.whl

FROM python AS runtime
ENV PATH=/opt/slicewatch/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
LABEL org.opencontainers.image.title="slicewatch" \
      org.opencontainers.image.description="Is every GPU slice getting what it was promised? A GPU partition exporter and SLO checker." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.documentation="docs/install.md" \
      org.opencontainers.image.base.name="docker.io/library/debian:trixie-slim"
# Neither user exists in /etc/passwd, and neither needs a home: nothing is written but what a volume is mounted for.
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["slicewatch"]

# No HEALTHCHECK: Kubernetes ignores it and asks /-/healthy itself.
FROM runtime AS slo
COPY --from=slo-files /opt/slicewatch /opt/slicewatch
EXPOSE 9946
CMD ["slo", "run", "--help"]

# Last, so that it is what a build without --target makes.
FROM runtime AS exporter
COPY --from=exporter-files /opt/slicewatch /opt/slicewatch
EXPOSE 9945
CMD ["exporter"]
