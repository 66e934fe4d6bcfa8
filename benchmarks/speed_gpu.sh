#!/usr/bin/env bash
# Rows of benchmarks/speed.md for a GPU: results go into $OUT, or beside this file. Each part may fail alone.
set -u
out=${OUT:-$(dirname "$0")/results}
mkdir -p "$out"
benchmark() {
  name=$1
  shift
  timeout 150 python -m sr_lightning.benchmark "$@" output="$out/$name.json" >"$out/$name.txt" 2>&1 || echo "$name failed" >>"$out/failed.txt"
}
benchmark infer_small infer networks=edsr_baseline,span,fsrcnn,rfdn ways=whole,channels_last,tiles,strips size=1020x678 device=cuda repeats=5
benchmark infer_large infer networks=edsr_baseline,span ways=tiles,strips size=2121x1414 device=cuda repeats=3
benchmark infer_rrdb infer networks=rrdb,rdn ways=tiles,strips size=1020x678 device=cuda repeats=2
benchmark train train model=edsr_baseline device=cuda repeats=3
timeout 120 python -m pytest -q -o addopts="" tests/strips tests/inference/test_exact.py >"$out/tests.txt" 2>&1
