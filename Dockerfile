# One image for the API, for workers and for the one-shot set-up; the command says which.
FROM node:20-bookworm-slim AS base
WORKDIR /app
# No update checks and no telemetry while building.
ENV CI=true CHECKPOINT_DISABLE=1
RUN npm install --global pnpm@12

# Generates the database client and the apps' files, with everything installed.
FROM base AS build
COPY . .
RUN pnpm install --frozen-lockfile && pnpm run generate

# Only what runs in production: no compilers, no test servers.
FROM base AS production
COPY . .
RUN pnpm install --frozen-lockfile --prod \
      --filter tarfleet \
      --filter-prod "@tarfleet/api..." \
      --filter-prod "@tarfleet/worker..." \
      --filter-prod "@tarfleet/stack..."
COPY --from=build /app/packages/db/src/generated packages/db/src/generated
COPY --from=build /app/apps/api/dist apps/api/dist
COPY --from=build /app/apps/worker/dist apps/worker/dist

FROM node:20-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
# Workers compress with it; without it they take zlib, at about half the speed.
RUN apt-get update && apt-get install --yes --no-install-recommends libdeflate0 \
      && rm -rf /var/lib/apt/lists/*
COPY --from=production /app .
# New volumes take over the owner of the folder that they cover.
RUN install --directory --owner=node --group=node --mode=0700 \
      /var/lib/tarfleet/keys /var/lib/tarfleet/api-keys /var/lib/tarfleet/worker-keys
USER node
EXPOSE 8080
CMD ["node", "--enable-source-maps", "apps/api/dist/main.mjs"]
