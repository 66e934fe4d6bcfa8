#!/usr/bin/env bash
# Speed and memory of all networks at x4 beside spandrel's, on an idle machine: networks_x4_*.json, then networks_x4.md.
# A second start goes on with what is missing. Small networks on 256x256 pixels and as a file of a megapixel, large ones
# on 96x96.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

bench() { # NAME, then what sr-benchmark infer takes
  local file="networks_x4_$1.json"
  [[ -f $file ]] || python -m sr_lightning.benchmark infer scale=4 "${@:2}" output="$file"
}

small=fsrcnn,espcn,span,spanv2,spanf,smfanet,rfdn,rlfn,bsrn,imdn,pan,carn_m,carn,smfanet_plus,edsr_baseline,compact
light=swinir_light,dat_light,omnisr,atd_light,pft_light,plksr_tiny,lapsrn,vdsr
large=edsr,rdn,rcan,rrdb,plksr,realplksr,swinir,hat_s,hat,dat,atd,pft

bench small "networks=[$small]" size=256x256 ways=channels_last,strips,spandrel 'precision=[float32,auto]' repeats=3
bench large "networks=[$large]" size=96x96 ways=channels_last,spandrel 'precision=[float32]' repeats=1
bench light "networks=[$light]" size=256x256 ways=channels_last,spandrel 'precision=[float32,auto]' repeats=1
bench files networks=[fsrcnn,span,rlfn,smfanet] size=1024x1024 ways=files repeats=1
python networks_x4.py
