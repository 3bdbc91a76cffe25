# phi-server in an image without Swift.
#
#   docker build -t phi-server:0.1.0 .
#   docker run --rm -p 8080:8080 -v "$PWD:/models:ro" phi-server:0.1.0 --host 0.0.0.0 -m /models/phi-1.phi
#
# Tests/PackageTests runs what this file says without Docker: the packages in the root file system of a Debian, as this user.

FROM swift:6.3-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends make python3 zlib1g-dev
WORKDIR /source
COPY . .
ARG SOURCE_DATE_EPOCH
RUN make package

FROM debian:bookworm-slim
RUN --mount=type=bind,from=build,source=/source/.build/packages,target=/packages \
    dpkg -i /packages/swift-phi-server_*.deb
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=20s --timeout=5s --start-period=5s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /health HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["phi-server"]
CMD ["--host", "0.0.0.0"]
