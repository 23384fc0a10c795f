# Showreel in a container. Build one of two targets:
#
#   docker build --target cpu  --tag showreel .
#   docker build --target cuda --tag showreel:cuda .
#
# The steps are the README's: the packages of packages.txt, `make install`, `python app.py`. What is kept (libraries,
# models, results, weights of the Hub) lies on the volume /data; `compose.yaml` runs it with one.

# The Python that constraints.txt was made with.
ARG PYTHON=3.11-slim-bookworm

# ---- the system: what packages.txt lists, and a user without rights
FROM python:${PYTHON} AS system
WORKDIR /app
COPY packages.txt ./
# hadolint ignore=DL3008  # the release of Debian fixes the versions
RUN apt-get update \
    && xargs --arg-file packages.txt apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 showreel \
    && install --directory --owner showreel --group showreel /data
ENV PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1

# ---- the Python packages, with torch for CPUs where TORCH_INDEX names an index that has such a build. Without it comes
#      the build of the package index, which runs on CPUs too but brings CUDA's libraries along.
FROM system AS cpu-packages
ARG TORCH_INDEX=""
COPY Makefile requirements.txt constraints.txt ./
RUN PIP_EXTRA_INDEX_URL="${TORCH_INDEX}" make install

# ---- the Python packages with CUDA's libraries; the driver is the host's
FROM system AS cuda-packages
COPY Makefile requirements.txt constraints.txt ./
RUN make install

# ---- the app, but for the packages
FROM system AS app
COPY app.py pyproject.toml LICENSE README.md ./
COPY weights weights
COPY core core
COPY apps apps
ARG REVISION=unknown
ENV SHOWREEL_HOME=/data \
    SHOWREEL_REVISION=${REVISION}
VOLUME /data
EXPOSE 7860
USER 1000
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s --retries=3 \
    CMD [".venv/bin/python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/health', timeout=10)"]
ENTRYPOINT [".venv/bin/python", "app.py", "--host", "0.0.0.0"]

FROM app AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=cuda-packages /app/.venv .venv

FROM app AS cpu
COPY --from=cpu-packages /app/.venv .venv
