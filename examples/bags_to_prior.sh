#!/usr/bin/env bash
# From demonstrations in a rosbag to a prior, and the proof that the detour costs nothing: 300 scripted demonstrations
# are recorded over the ROS graph, converted, and a prior is trained; beside it stands a prior trained in the same way
# on the same number collected directly. Takes about six minutes. (With so few demonstrations the held-out likelihood
# falls after some 500 steps, while random z goes on getting better: 7% of episodes lift after 600, 24% after 2,000.)
#
#   examples/bags_to_prior.sh                      # into runs/bags_to_prior
#   DEMONSTRATIONS=60 STEPS=300 examples/bags_to_prior.sh runs/quick
set -euo pipefail

out=${1:-runs/bags_to_prior}
count=${DEMONSTRATIONS:-300}
steps=${STEPS:-2000}
episodes=${EPISODES:-300}
seed=${SEED:-0}
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"

step() { printf '\n== %s\n' "$*"; }

mkdir -p "$out"
if [ ! -f "$out/bag/metadata.yaml" ]; then
    step "record $count successful demonstrations over the graph"
    parrot launch collect.launch.py "successes:=$count" "seed:=$seed" "bag:=$out/bag"
fi

step "turn the bag into a dataset"
parrot data from-bags "$out/bag" --out "$out/bagged"

step "collect $count demonstrations directly"
parrot data collect --trajectories "$count" --seed "$seed" --workers 1 --out "$out/collected"

for kind in bagged collected; do
    step "train a prior on what was $kind: $steps gradient steps"
    parrot prior train "$out/$kind" --steps "$steps" --seed "$seed" --threads 1 --out "$out/prior_$kind"
    parrot prior eval "$out/prior_$kind/prior.safetensors" --task novel --episodes "$episodes" --seed "$seed" \
        --out "$out/random_z_$kind.csv"
done

step "side by side"
python examples/compare_priors.py "$out" --seed "$seed"
