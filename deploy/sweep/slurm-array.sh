#!/usr/bin/env bash
# 100,000 seeds in 16 parts, as a job array:
#   sbatch slurm-array.sh
#   herd sweep merge results/part-*.jsonl      # once all are there
#SBATCH --job-name=herd-sweep
#SBATCH --array=1-16
#SBATCH --cpus-per-task=4
#SBATCH --mem=1G
#SBATCH --time=02:00:00
set -euo pipefail
mkdir -p results
exec herd sweep --keep-going --seeds 0..100000 \
  --threads "${SLURM_CPUS_PER_TASK:-1}" \
  --shard "${SLURM_ARRAY_TASK_ID:?is set by sbatch}/${SLURM_ARRAY_TASK_COUNT:-16}" \
  --state "results/part-$SLURM_ARRAY_TASK_ID.jsonl" \
  scenarios/stories/chaos-coarse.toml
