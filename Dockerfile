# syntax=docker/dockerfile:1

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --bin countersign \
    && install -D target/release/countersign /out/usr/local/bin/countersign \
    && install -d -m 700 /out/data

# The C library and the program; no shell, no package manager, a user without privileges.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build --chown=65532:65532 /out /
ENV COUNTERSIGN_LISTEN=0.0.0.0:3000 \
    COUNTERSIGN_DATA_DIR=/data
VOLUME /data
EXPOSE 3000
ENTRYPOINT ["countersign"]
CMD ["serve"]
