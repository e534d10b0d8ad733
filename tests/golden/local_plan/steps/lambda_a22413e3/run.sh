#!/usr/bin/env bash
# step      lambda (pipeline.py:54)
# target    lambda_a22413e3
# why       never built
# output    .marin-build/outputs/lambda_a22413e3
# shellcheck disable=SC2154,SC1091,SC2016,SC2026,SC1003,SC1078,SC1079  # set by environment.sh; quotes are meant
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")"/../../environment.sh

exec "$marin_build" run-step --plan "$plan" --target lambda_a22413e3
