#!/bin/sh
# Installs the LiteLLM proxy as a side of the comparison, in an environment of its own: about 700 MB, two minutes.
# usage: sh perf/peers/litellm/install.sh FOLDER, then BUSBAR_PERF_PEERS=FOLDER python -m perf --peers litellm
set -eu
folder=${1:?usage: sh perf/peers/litellm/install.sh FOLDER}
version=${LITELLM_VERSION:-1.108.7}
mkdir -p "$folder"
"${PYTHON:-python3}" -m venv "$folder/litellm"
"$folder/litellm/bin/python" -m pip install --quiet --disable-pip-version-check "litellm[proxy]==$version"
"$folder/litellm/bin/litellm" --version
