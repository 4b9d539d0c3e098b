#!/usr/bin/env bash
# The whole way of a real arm, on the emulated one, which speaks only what drivers speak: demonstrations through the
# driver into a bag, a dataset, a prior, fine-tuning, one file, trials. Nothing here reads the simulator's state but the
# scripted operator, who demonstrates, sets the table and says when the task is done.
# Real time: with these numbers 14 minutes of demonstrations, 30 of fine-tuning, a few of the rest.
#
#   examples/full_circle.sh                        # into runs/full_circle
#   INIT= STEPS=2000 examples/full_circle.sh       # a prior of these demonstrations alone
#   DEMONSTRATIONS=5 STEPS=50 MINUTES=1 TRIALS=2 examples/full_circle.sh runs/quick
set -euo pipefail

out=${1:-runs/full_circle}
task=${TASK:-grasp_can}
demonstrations=${DEMONSTRATIONS:-200}
steps=${STEPS:-500}
init=${INIT-models/prior.safetensors}
minutes=${MINUTES:-30}
trials=${TRIALS:-20}
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"

step() { printf '\n== %s\n' "$*"; }

mkdir -p "$out"
if [ ! -f "$out/bag/metadata.yaml" ]; then
    step "record $demonstrations successful demonstrations through the driver"
    parrot launch real_collect.launch.py robot:=emulated task:=collect "successes:=$demonstrations" "bag:=$out/bag"
fi

step "turn the bag into a dataset"
parrot data from-bags "$out/bag" --out "$out/demonstrations"

step "train a prior: $steps gradient steps from ${init:-random weights}"
start=(${init:+--init "$init" --allow robot --lr 0.0003})
parrot prior train "$out/demonstrations" ${start[@]+"${start[@]}"} --steps "$steps" --threads 1 --out "$out/prior"

step "fine-tune $task on the arm for $minutes minutes"
parrot launch real_finetune.launch.py robot:=emulated "task:=$task" "prior:=$out/prior/prior.safetensors" \
    "minutes:=$minutes" eval_before:=20 "eval_after:=$trials" "run_dir:=$out/run"
parrot summary "$out/run"

step "put what was learnt into one file"
parrot export "$out/run" --out "$out/policy.safetensors"

step "deploy it for $trials trials"
parrot launch real_deploy.launch.py robot:=emulated "policy:=$out/policy.safetensors" "task:=$task" \
    "trials:=$trials" "out:=$out/trials"
