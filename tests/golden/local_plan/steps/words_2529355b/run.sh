#!/usr/bin/env bash
# step      words (pipeline.py:38)
#           Splits the text.\nOne word a line.
# target    words_2529355b
# why       never built
# inputs    corpus.txt
# output    .marin-build/outputs/words_2529355b
# shellcheck disable=SC2154,SC1091,SC2016,SC2026,SC1003,SC1078,SC1079  # set by environment.sh; quotes are meant
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")"/../../environment.sh

exec "$marin_build" run-step --plan "$plan" --target words_2529355b
