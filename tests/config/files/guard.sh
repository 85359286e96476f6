#!/bin/sh
# Blocks, and says with what it was called and where.
echo "$1 $2 in $(basename "$PWD") key=$GUARD_KEY" >&2
exit 2
