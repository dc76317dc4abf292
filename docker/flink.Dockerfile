# Flink as in the local stack: the distribution inside the apache-flink wheel, the Kafka
# connector, and the Python packages that jobs import. Build it from the top of the repository.

FROM maven:3.9-eclipse-temurin-17 AS jars
COPY stack/jars/connector/pom.xml /build/pom.xml
RUN mvn -B -ntp -f /build/pom.xml \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
    -DoutputDirectory=/jars -DincludeScope=runtime

FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends openjdk-17-jre-headless gcc libc6-dev procps \
    && rm -rf /var/lib/apt/lists/*
# Packages first: they change less often than the code.
WORKDIR /opt/millrace
COPY requirements.lock ./
RUN grep -E '^(setuptools|wheel)==' requirements.lock > build.txt \
    && pip install --no-cache-dir -r build.txt \
    && pip install --no-cache-dir --no-deps --no-build-isolation -r requirements.lock
COPY --from=jars /jars /opt/jars
COPY pyproject.toml README.md LICENSE cli.py ./
COPY udfs udfs
COPY configs configs
COPY feature_dist feature_dist
COPY jobs jobs
COPY stack stack
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable . \
    && python -m stack.flink_home /opt/flink /opt/jars
COPY docker/flink-config.yaml /opt/flink/conf/config.yaml
ENV FLINK_HOME=/opt/flink
# Volumes mounted here belong to the user that runs Flink.
RUN useradd --uid 9999 flink && mkdir -p /data/flink /data/objects /data/config \
    && chown -R flink /data /opt/flink
USER flink
WORKDIR /tmp
