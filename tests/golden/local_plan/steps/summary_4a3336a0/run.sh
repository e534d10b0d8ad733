#!/usr/bin/env bash
# step      summary (pipeline.py:51)
# target    summary_4a3336a0
# why       never built
# needs     words_2529355b
#           text/counts_8c4995f8
# output    .marin-build/outputs/summary_4a3336a0
# shellcheck disable=SC2154,SC1091,SC2016,SC2026,SC1003,SC1078,SC1079  # set by environment.sh; quotes are meant
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")"/../../environment.sh

exec "$marin_build" run-step --plan "$plan" --target summary_4a3336a0
