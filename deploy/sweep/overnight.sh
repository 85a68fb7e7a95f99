#!/usr/bin/env bash
# 100,000 runs of the chaos scenario, each executed twice and compared byte by byte. It goes on where it was if it is started again.
#   deploy/sweep/overnight.sh [SEEDS] [FILE]
set -euo pipefail
cd "$(dirname "$0")/../.."
seeds=${1:-100000}
results=${2:-overnight-$seeds.jsonl}
cargo build --locked --release
exec target/release/herd sweep --paired --keep-going --seeds "0..$seeds" --state "$results" \
  --shrink overnight-found scenarios/stories/chaos-coarse.toml
