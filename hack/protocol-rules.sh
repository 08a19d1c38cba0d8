#!/usr/bin/env bash
# Switches one rule of the protocol off after the other, and tells which law the simulation sees broken, and
# after how many runs. The rules that production code keeps by itself are taken out of a scratch copy of it.
# Usage: hack/protocol-rules.sh [RUNS]
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-20000}
scratch=${PROTOCOL_RULES_DIR:-target/protocol-rules}
build=(cargo test --locked --quiet --test simulation)
find_one=(production_keeps_the_laws --nocapture)

look() { # NAME
  local found
  found=$(SIMULATION_FIND=$runs SIMULATION_OFF=${2:-} "${build[@]}" -- "${find_one[@]}" | sed -n 's/.*found: //p')
  printf '| %s | %s |\n' "$1" "$found"
}

# NAME (FILE OLD NEW)...: rules are taken out of a copy by replacing texts that must be there once.
without() {
  local name=$1
  shift
  rm -rf "$scratch/src" && cp -r src "$scratch/src"
  while (($# > 0)); do
    OLD=$2 NEW=$3 perl -0pi -e \
      '$n = s/\Q$ENV{OLD}\E/$ENV{NEW}/; END { exit($n == 1 ? 0 : 1) }' "$scratch/src/$1"
    shift 3
  done
  (cd "$scratch" && look "$name")
}

echo '| rule switched off | law that broke, runs needed |'
echo '| --- | --- |'
sed -n 's/^    [A-Z][A-Za-z]* "\([a-z-]*\)" => "\(.*\)",$/\1|\2/p' tests/simulation/switches.rs |
  while IFS='|' read -r name sentence; do
    # What chance seldom brings about is looked for in a world that is made for it.
    case $name in
      freshness) SIMULATION_WORLD=stale look "$sentence" "$name" < /dev/null ;;
      signed-at) SIMULATION_WORLD=edges look "$sentence" "$name" < /dev/null ;;
      *) look "$sentence" "$name" < /dev/null ;;
    esac
  done

mkdir -p "$scratch"
git ls-files -z | grep -zv '^src/' | xargs -0 cp --parents -t "$scratch"
export CARGO_TARGET_DIR=$PWD/$scratch/target
SIMULATION_WORLD=edges without 'the wait is counted by our own monotonic clock, too' lifecycle/protocol/fence.rs \
  'date > moment && self.known.0 >= wait' 'date > moment'
SIMULATION_WORLD=edges without 'the wait is counted by the provider'"'"'s Date, too' lifecycle/protocol/fence.rs \
  'date > moment && self.known.0 >= wait' 'date >= Timestamp::MIN && self.known.0 >= wait'
# Each place alone is covered by the other ones.
without 'while a request may still land, nothing else is sent: by none of the three places' \
  lifecycle/protocol/slot.rs 'if self.is_open() {' 'if false {' \
  lifecycle/rules/permits.rs 'slot.record.is_open().then' 'false.then' \
  lifecycle/rules/power.rs '|| record.is_open() ||' '||'
without 'an unverified stop or start is freed and decided anew' lifecycle/rules/power.rs \
  'ChangeState::Submitting | ChangeState::Unverified => facts.is_past_fence(change),
        ChangeState::Accepted => facts.is_past_fence(change) && facts.is_overdue(change),' \
  'ChangeState::Submitting | ChangeState::Unverified => false,
        ChangeState::Accepted => facts.is_past_fence(change) && facts.is_overdue(change),'
without 'an accepted stop or start past its deadline is freed' lifecycle/rules/power.rs \
  'facts.is_past_fence(change) && facts.is_overdue(change),' 'false,'
without 'a record without an intent is given back' lifecycle/rules/records.rs \
  'facts.observed.since.lanes.of(lane).0 < window' 'window > std::time::Duration::ZERO'
without 'whoever sees the machine settles the record of an object that is gone' lifecycle/observed.rs \
  'other = holding.object.uid != me.uid && self.holders.of(lane) == Holder::Counts' \
  'other = holding.object.uid != me.uid'
SIMULATION_WORLD=switched without 'a stop that is given back takes what the machine is brought back to along' \
  lifecycle/protocol/slot.rs 'filter(|restore| restore.stopped_by != *change)' 'filter(|_| true)'
without 'an acceptance is written to the slot first' controller/pass/record.rs \
  'Answer::Accepted { .. } => Learns::First' 'Answer::Accepted { .. } => Learns::Last'
without 'a call that was not made is given back in the status first' controller/pass/record.rs \
  'Answer::NotSent { .. } | Answer::Refused(_) => Learns::Last' \
  'Answer::NotSent { .. } | Answer::Refused(_) => Learns::First'
without 'an answer is kept until it is written' controller/pass/slot.rs \
  'taken_at.saturating_add(desired.timing.fence())' 'taken_at.min(desired.timing.fence())'
without 'after a status write without an answer the slot is given back only once it can no longer land' \
  controller/pass/execute.rs 'if let StoreError::Failed(_) = error {' 'if false {'
SIMULATION_WORLD=without-slots without 'an intent without a record counts as ordered' lifecycle/standing.rs \
  'Some(_) | None => Self::Unrecorded(change.clone()),' 'Some(_) | None => Self::Idle,'
# Our own clock covers it, which counts from when the lane was closed.
SIMULATION_WORLD=edges without \
  'a margin begins with the acceptance, if that is later; without our own clock beside it' \
  lifecycle/facts.rs 'accepted.map_or(read, |at| at.max(read))' 'accepted.map_or(read, |at| at.min(read))' \
  lifecycle/facts.rs 'self.witness(lane).has_passed(expects.until, timing.margin)' \
  'self.observed.provider_now().is_some_and(|date| date > expects.until)'
