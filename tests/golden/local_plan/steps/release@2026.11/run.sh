#!/usr/bin/env bash
# step      release (pipeline.py:48)
# target    release@2026.11
# why       never built
# needs     text/copy_af3e4dbc
# output    .marin-build/outputs/release/2026.11
# shellcheck disable=SC2154,SC1091,SC2016,SC2026,SC1003,SC1078,SC1079  # set by environment.sh; quotes are meant
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")"/../../environment.sh

exec "$marin_build" run-step --plan "$plan" --target release@2026.11 -- \
  cp "$prefix"/text/copy_af3e4dbc'/a b.txt' "$prefix"/release/2026.11/release.txt
