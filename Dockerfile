# One image, several commands: framerelay up | receiver | worker | sandbox (see deploy/README.md).
# To pin what it is on: --build-arg PYTHON_IMAGE=python:3.12-slim-bookworm@sha256:…
ARG PYTHON_IMAGE=python:3.12-slim-bookworm
FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
COPY requirements/run.lock requirements/dev.lock requirements/
# The build tool, at the version and with the hashes of the lock; it stays in this stage.
RUN sed -n '/^setuptools==/,/# via/p' requirements/dev.lock > build.lock \
    && pip install --no-cache-dir --require-hashes --only-binary :all: -r build.lock
RUN python -m venv --without-pip /opt/framerelay \
    && pip --python /opt/framerelay install --no-cache-dir --require-hashes --only-binary :all: -r requirements/run.lock
COPY pyproject.toml README.md LICENSE ./
COPY api api
COPY cli cli
COPY config config
COPY languages languages
COPY media media
COPY network network
COPY processors processors
COPY receiver receiver
COPY runs runs
COPY sandbox sandbox
COPY store store
COPY storyboards storyboards
COPY upstream upstream
RUN pip wheel --no-deps --no-build-isolation --wheel-dir wheels . \
    && pip --python /opt/framerelay install --no-cache-dir --no-deps wheels/*.whl

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="FrameRelay" \
      org.opencontainers.image.description="The callback_url of video-generation APIs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 framerelay \
    && useradd --uid 10001 --gid 10001 --no-create-home framerelay \
    && install --directory --owner 10001 --group 10001 --mode 700 /data \
    && mkdir /etc/framerelay
COPY --from=build /opt/framerelay /opt/framerelay
ENV PATH=/opt/framerelay/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FRAMERELAY_HOST=0.0.0.0 \
    FRAMERELAY_PORT=8080 \
    FRAMERELAY_DATA_DIR=/data
USER 10001:10001
# Where framerelay.yaml is looked for; mount a folder here to name hooks.
WORKDIR /etc/framerelay
VOLUME /data
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/livez', timeout=4)"]
ENTRYPOINT ["framerelay"]
CMD ["up"]
