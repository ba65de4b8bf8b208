# Stands in for prom/prometheus: the same entry point, user and folders.
FROM vnome-stand-in/prometheus
RUN install -d -o nobody -g nogroup /prometheus && install -d /etc/prometheus
USER 65534:65534
WORKDIR /prometheus
EXPOSE 9090
ENTRYPOINT ["/usr/bin/prometheus"]
