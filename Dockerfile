# The pipeline in a container:
#   docker build -t visualmic .
#   docker run --rm -v "$PWD/results:/visualmic/results" visualmic
# On a cluster: apptainer build visualmic.sif docker-daemon:visualmic:latest
FROM python:3.11-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /visualmic

# The set-up is a layer of its own: it is made again only when the lock changes.
COPY Makefile pyproject.toml requirements.lock README.md LICENSE ./
COPY workflow_scripts workflow_scripts
RUN make setup

COPY . .
ENV PATH="/visualmic/.venv/bin:$PATH"
CMD ["snakemake", "--cores", "all"]
