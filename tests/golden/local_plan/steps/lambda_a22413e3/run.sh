#!/usr/bin/env bash
# step      lambda (pipeline.py:54)
# target    lambda_a22413e3
# why       never built
# output    .marin-build/outputs/lambda_a22413e3
# shellcheck disable=SC2154,SC2016,SC1091  # environment.sh sets the variables; quotes are meant
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")"/../../environment.sh

exec "$marin_build" run-step --plan "$plan" --target lambda_a22413e3
