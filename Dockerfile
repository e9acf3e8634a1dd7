# No base image: `make image` gathers every file of the image in the folder that is the build's context.
FROM scratch
LABEL org.opencontainers.image.title="edgewright" \
      org.opencontainers.image.description="Makes an edge (AWS and fleets of Envoy) match a git repository" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY root/ /
COPY --chown=65532:65532 state/ /var/lib/
ENV PATH=/usr/local/bin EDGEWRIGHT_STATE=/var/lib/edgewright
VOLUME ["/tmp", "/var/lib/edgewright"]
USER 65532:65532
ENTRYPOINT ["/edgewright"]
CMD ["serve"]
