#!/bin/bash
# Builds one target on the machines of a queued resource, and deletes that at the end.
# step      odd (pipeline.py:1)
# target    odd_8cd652af
# output    gs://lab/out/odd_8cd652af
# shellcheck disable=SC2016,SC2026,SC1003,SC1078,SC1079  # quotes are meant
# Not `-e`: whatever fails, the end must be told.
set -uo pipefail
export HOME=${HOME:-/root}
state=${STATE_DIRECTORY:-/var/lib}/marin-build
instance=http://${GCE_METADATA_HOST:-metadata.google.internal}/computeMetadata/v1/instance

# ask PATH [OPTION...]: prints what the metadata server says of this machine.
ask() {
  local path=$1
  shift
  curl --silent --show-error --fail --max-time 20 --retry 8 --retry-connrefused --header 'Metadata-Flavor: Google' "$@" \
    "$instance/$path"
}

# tell KEY: lets the Cloud TPU API show its input as a guest attribute of this machine.
tell() {
  ask "guest-attributes/marin-build/$1" --request PUT --data-binary @- > /dev/null
}

# setting KEY: prints what the service noted for all machines of a slice.
setting() {
  ask attributes/tpu-env | sed -n "s/^$1: *'\{0,1\}\([^']*\)'\{0,1\} *\$/\1/p"
}

delete_all() {
  local token
  token=$(ask service-accounts/default/token | sed -n 's/.*"access_token" *: *"\([^"]*\)".*/\1/p')
  # Through a pipe: command lines can be seen by all who are on a machine.
  curl --silent --show-error --max-time 60 --retry 8 --retry-connrefused --request DELETE \
    --header @<(printf 'Authorization: Bearer %s\n' "$token") \
    "${api%/}/v2/$parent/queuedResources/$job?force=true"
}

parent=projects/my-project/locations/us-east5-a
api=${CLOUDSDK_API_ENDPOINT_OVERRIDES_TPU:-https://tpu.googleapis.com}
job=$(ask attributes/marin-build-job) || exit 1
worker=$(ask attributes/agent-worker-number)
slice=0
rank=
if [[ $worker =~ ^[0-9]+$ && $slice =~ ^[0-9]+$ ]]; then
  rank=$((10#$worker + 10#$slice * 4))
fi

# work: runs the step, and ends as it does.
work() {
  set -e
  if [ -z "$rank" ]; then
    printf 'the metadata server does not say which machine of the gang this is\nexit code 75: infrastructure failed, try again\n'
    exit 75
  fi
  MARIN_BUILD_QUEUED_SINCE=$(ask attributes/marin-build-queued-since || true)  # for estimates
  export MARIN_BUILD_JOB="tpu-vm:$job" MARIN_BUILD_QUEUED_SINCE JAX_PLATFORMS=tpu,cpu PJRT_DEVICE=TPU
  # A gang: a rank on each machine. A rank that could say how it ended exits with 0, and the leader, rank 0, with the
  # truth about all. Any other code means that a rank died without a word: then the others are ended.
  MARIN_BUILD_LAUNCH=$(ask attributes/marin-build-launch)
  MARIN_BUILD_LEADER=$(ask attributes/worker-network-endpoints | sed 's/,.*//; s/.*://')
  export MARIN_BUILD_LAUNCH MARIN_BUILD_LEADER MARIN_BUILD_RANK="$rank" MARIN_BUILD_RANKS=4
echo "$HOME" 'x'
  exec docker run --rm --init --net=host --privileged --shm-size=100g --ulimit memlock=68719476736:68719476736 \
    --env MARIN_BUILD_JOB \
    --env MARIN_BUILD_QUEUED_SINCE \
    --env JAX_PLATFORMS \
    --env PJRT_DEVICE \
    --env MARIN_BUILD_LAUNCH \
    --env MARIN_BUILD_LEADER \
    --env MARIN_BUILD_RANK \
    --env MARIN_BUILD_RANKS \
    --volume=/dev/shm:/dev/shm \
    --entrypoint 'it'"'"'s' us-docker.pkg.dev/lab/images/lm@sha256:0000000000000000000000000000000000000000000000000000000000000000 \
    run-step --file p.py --set 'n=a b' --prefix gs://lab/out --target odd_8cd652af -- env output=gs://lab/out/odd_8cd652af bash -euo pipefail -c 'echo "${output}"'
}

# A startup script runs at each boot. A step does not go on where a restart has ended it.
if mkdir "$state"; then
  cd "$state" || exit 1
  (work) 2>&1 | (trap "" TERM; exec tee output)
  printf '%s\n' "${PIPESTATUS[0]}" > exit-code
elif cd "$state" && [ ! -s exit-code ]; then
  printf 'the machine was restarted\nexit code 75: infrastructure failed, try again\n' | tee -a output
  printf '75\n' > exit-code
fi
read -r code < exit-code
tail -c 3000 output | base64 -w 0 | tell output
printf '%s' "$code" | tell exit-code

# What is paid for must not stay if nobody follows the job. What failed waits for a while, so that `apply` can fetch the
# words above; it deletes all of this as soon as it has.
if [ "$rank" = 0 ] || [ "$code" != 0 ]; then
  [ "$code" = 0 ] || sleep 30
  delete_all
fi
