#!/usr/bin/env bash
# Makes the template of the images that volumes are kept in (src/adapters/volume_image/template.zst): what mkfs.xfs
# writes, without the zeros between it. Needs mkfs.xfs, python3 and zstd; only whoever changes the template runs it.
#
# Every option is one that Linux 5.10 understands. The log is as small as it can be: it is written in turn, so that all
# of it takes room in the end.
set -euo pipefail
cd "$(dirname "$0")/.."

image=$(mktemp)
trap 'rm -f "$image"' EXIT
truncate -s 256G "$image"
mkfs.xfs -q -f -L devenv -d agcount=4 -l size=64m -i nrext64=0 \
    -m crc=1,finobt=1,inobtcount=1,reflink=1,bigtime=1,rmapbt=0 "$image"

python3 - "$image" <<'EOF' | zstd -q -19 -f -o src/adapters/volume_image/template.zst
import os, struct, sys

SECTOR = 512
image = os.open(sys.argv[1], os.O_RDONLY)
size = os.fstat(image).st_size
out = sys.stdout.buffer
out.write(struct.pack("<Q", size))
at = 0
pieces = []
while at < size:
    try:
        at = os.lseek(image, at, os.SEEK_DATA)
    except OSError:
        break
    end = os.lseek(image, at, os.SEEK_HOLE)
    while at < end:
        sector = os.pread(image, SECTOR, at)
        if sector.strip(b"\0"):
            if pieces and pieces[-1][0] + len(pieces[-1][1]) == at:
                pieces[-1][1].extend(sector)
            else:
                pieces.append((at, bytearray(sector)))
        at += SECTOR
for at, piece in pieces:
    out.write(struct.pack("<QI", at, len(piece)))
    out.write(piece)
EOF
