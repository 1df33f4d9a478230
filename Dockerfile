# The roles, collectors and tools of Skytrail; the engines have their own images (docker-compose.yml).
FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/skytrail
# Dependencies first: a change of our code does not fetch them again.
COPY pyproject.toml ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
      > requirements.txt \
 && /opt/skytrail/bin/pip install --no-cache-dir -r requirements.txt
COPY README.md ./
COPY ingest ingest
COPY detectors detectors
COPY storage storage
COPY streams streams
COPY skytrail skytrail
RUN /opt/skytrail/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home --home-dir /home/skytrail skytrail \
 && install -d -o skytrail -g skytrail -m 0750 /var/lib/skytrail /var/lib/skytrail/archive /var/lib/skytrail/spool \
      /var/lib/skytrail/checkpoints /var/lib/skytrail/retention \
 && install -d -o skytrail -g skytrail -m 0700 /var/lib/skytrail/ledger /var/lib/skytrail/datakeys
COPY --from=build /opt/skytrail /opt/skytrail
ENV PATH=/opt/skytrail/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONUNBUFFERED=1 \
    SKYTRAIL_STATE_DIR=/var/lib/skytrail
USER skytrail
WORKDIR /home/skytrail
ENTRYPOINT ["skytrail"]
CMD ["--help"]
