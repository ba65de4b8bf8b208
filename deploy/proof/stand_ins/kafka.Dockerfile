# Stands in for apache/kafka: the same user, folders, variables, and the same wrapper that turns these into properties.
FROM vnome-stand-in/kafka
RUN mkdir -p /usr/share/man/man1 \
    && apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 1000 --user-group --no-create-home appuser \
    && install -d -o appuser -g appuser /var/lib/kafka/data /opt/kafka/config /opt/kafka/logs /etc/kafka/docker \
        /etc/kafka/secrets /mnt/shared/config
COPY kafka /etc/kafka/docker/
USER 1000:1000
EXPOSE 9092
CMD ["/etc/kafka/docker/run"]
