#!/usr/bin/env bash
# Reads the map call with osmium. Usage: read.sh URL
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
curl --fail --silent --show-error --output "$scratch/map.osm" "$1/api/0.6/map?bbox=20.0,10.0,20.01,10.01"
osmium fileinfo --extended --json "$scratch/map.osm" >"$scratch/info.json"
# All that a way or relation names is there, and everything is in the order in which files are written.
osmium check-refs "$scratch/map.osm"
osmium cat --overwrite --output "$scratch/map.osm.pbf" "$scratch/map.osm"
python3 - "$scratch/info.json" <<'P'
import json, sys
info = json.load(open(sys.argv[1]))
data = info["data"]
assert data["objects_ordered"] and not data["multiple_versions"], data
assert data["count"]["nodes"] >= 9 and data["count"]["ways"] >= 2 and data["count"]["relations"] >= 1, data["count"]
print("osmium: reads the map call:", data["count"])
P
