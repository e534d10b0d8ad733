#!/usr/bin/env bash
# step      text/copy (pipeline.py:43)
# target    text/copy_af3e4dbc
# why       never built
# needs     text/counts_8c4995f8
# output    .marin-build/outputs/text/copy_af3e4dbc
# shellcheck disable=SC2154,SC1091,SC2016,SC2026,SC1003,SC1078,SC1079  # set by environment.sh; quotes are meant
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")"/../../../environment.sh

exec "$marin_build" run-step --plan "$plan" --target text/copy_af3e4dbc -- \
  cp --force "$prefix"/text/counts_8c4995f8/counts.txt "$prefix"/text/copy_af3e4dbc/'a b.txt'
