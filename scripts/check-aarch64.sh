#!/bin/bash
# Compiles for aarch64 all that depends on the architecture, and what stands on it.
set -euo pipefail
cd "$(dirname "$0")/.."
compiler=${CC_AARCH64-aarch64-linux-gnu-gcc}
object=$(mktemp)
trap 'rm -f "$object"' EXIT
count=0
for source in profiler/arch/aarch64/*.S profiler/{base,unwind,tasks,channels,snapshot}/*.c; do
  "$compiler" -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -fPIC -I. -Iprofiler/include \
    -c "$source" -o "$object"
  count=$((count + 1))
done
echo "aarch64: $count files compile"
