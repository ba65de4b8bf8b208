# Stands in for valkey/valkey:*-alpine: the same user, folder and names of the programs.
FROM vnome-stand-in/valkey
RUN groupadd --gid 1000 valkey && useradd --uid 999 --gid 1000 --no-create-home valkey \
    && install -d -o valkey -g valkey /data \
    && ln -s /usr/bin/redis-cli /usr/local/bin/valkey-cli
WORKDIR /data
EXPOSE 6379
CMD ["valkey-server", "--protected-mode", "no"]
