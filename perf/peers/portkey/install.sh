#!/bin/sh
# Installs the Portkey gateway as a side of the comparison, in a folder of its own; needs Node 18 or newer and npm.
# usage: sh perf/peers/portkey/install.sh FOLDER, then BUSBAR_PERF_PEERS=FOLDER python -m perf --peers portkey
set -eu
folder=${1:?usage: sh perf/peers/portkey/install.sh FOLDER}
version=${PORTKEY_VERSION:-1.15.2}
# With 1.14.2 and newer ones every stream is answered with 500 (see issue 1389 of Portkey-AI/gateway).
server=${HONO_NODE_SERVER_VERSION:-1.13.8}
mkdir -p "$folder/portkey"
printf '{"private": true, "overrides": {"@hono/node-server": "%s"}}\n' "$server" >"$folder/portkey/package.json"
npm install --prefix "$folder/portkey" --no-audit --no-fund --loglevel=error --save-exact "@portkey-ai/gateway@$version"
test -f "$folder/portkey/node_modules/@portkey-ai/gateway/build/start-server.js"
