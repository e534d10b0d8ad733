#!/usr/bin/env bash
# step      closure (pipeline.py:53)
# target    closure_a93f3915
# why       never built
# needs     release@2026.11
# output    .marin-build/outputs/closure_a93f3915
# shellcheck disable=SC2154,SC1091,SC2016,SC2026,SC1003,SC1078,SC1079  # set by environment.sh; quotes are meant
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")"/../../environment.sh

exec "$marin_build" run-step --plan "$plan" --target closure_a93f3915
