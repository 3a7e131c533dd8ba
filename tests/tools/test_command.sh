#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: test_command.sh PATH-OF-NDBUF
#
# The ndbuf command as a shell sees it: what it prints, on which stream, and its exit status.
set -uo pipefail

ndbuf=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export LC_ALL=C
nfailed=0
nchecks=0

# fails TEXT: counts a failure, and shows what the last run gave.
fails() {
    nfailed=$((nfailed + 1))
    printf 'FAILED: %s\n--- stdout\n%s\n--- stderr\n%s\n' "$1" "$(cat out)" "$(cat err)"
}

# run STATUS ARGUMENTS...: runs the command, and checks its exit status.
run() {
    local wanted=$1 got
    shift
    what="ndbuf $*"
    "$ndbuf" "$@" >out 2>err </dev/null
    got=$?
    nchecks=$((nchecks + 1))
    [ "$got" -eq "$wanted" ] || fails "$what: exit status $got, expected $wanted"
}

# prints FILE TEXT: the whole of a stream.
prints() {
    nchecks=$((nchecks + 1))
    [ "$(cat "$1")" = "$2" ] || fails "$what: $1 should be:
$2"
}

# has FILE TEXT: a part of a stream.
has() {
    nchecks=$((nchecks + 1))
    grep -qF -- "$2" "$1" || fails "$what: $1 should contain: $2"
}

# same FILE FILE
same() {
    nchecks=$((nchecks + 1))
    cmp -s "$1" "$2" || fails "$what: $1 and $2 differ"
}

# npy FILE DESCR ORDER SHAPE DATA: a version 1.0 file whose header takes 118 bytes; DATA with escapes as of printf.
npy() {
    {
        printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "{'descr': $2, 'fortran_order': $3, 'shape': $4, }"
        printf '%b' "$5"
    } >"$1"
}

# --- the command itself ---
run 2
has err 'usage: ndbuf COMMAND'
prints out ''
run 0 --help
has out 'usage: ndbuf COMMAND'
prints err ''
run 0 --version
nchecks=$((nchecks + 1))
grep -qE '^ndbuf [0-9]+\.[0-9]+\.[0-9]+$' out || fails "ndbuf --version"
run 2 frobnicate
prints err "ndbuf: no command 'frobnicate'
ndbuf: see 'ndbuf --help'"
for command in devices format explain copy show bench; do
    run 0 "$command" --help
    has out "usage: ndbuf $command"
    prints err ''
    run 2 "$command" --frobnicate
    prints err "ndbuf: $command: unknown option '--frobnicate'
ndbuf: see 'ndbuf $command --help'"
    prints out ''
done
"$ndbuf" devices >/dev/full 2>err
[ $? -eq 1 ] || fails "output to a full disk"
has err 'ndbuf: cannot write the output: No space left on device'

# --- devices ---
run 0 devices
has out 'cpu: available'
nchecks=$((nchecks + 1))
grep -qE '^cuda: (available$|unavailable: .+|not built: .+)' out || fails "$what: no state of cuda"
prints err ''
run 0 devices --json
has out '"name": "cpu"'
run 2 devices extra
has err "ndbuf: devices: 'extra' is one argument too many"
run 2 devices --json=x
has err "option '--json' takes no value"

# --- format ---
run 0 format 'T{>f:x:b:s:2x<h:y:}'
prints out 'canonical   T{>f:x:<b:s:2x<h:y:}
item size   9
alignment   1
            a record
padding     2 bytes at 5

  offset    size  code  kind      order   dims        path
       0       4  f     float     big     -           x
       4       1  b     int       -       -           s
       7       2  h     int       little  -           y'
run 0 format '(2,3)<d'
has out '(2, 3)'
has out 'padding     none'
run 0 format --itemsize 8 'T{<f:x:}'
has out 'padding     4 bytes at 4'
run 1 format 'T{<f:x:<z:y:}'
has err 'ndbuf: at 8: '
nchecks=$((nchecks + 1))
[ "$(tail -n 2 err)" = '  T{<f:x:<z:y:}
          ^' ] || fails "$what: the caret is not under the place"
run 2 format
has err 'ndbuf: format: no format string'
run 2 format --itemsize many B
has err "'many' is not a number of bytes"
run 2 format --itemsize
has err "option '--itemsize' needs a value"

# --- copy ---
npy in.npy "'<i2'" False '(2, 3)' '\x00\x10\x01\x11\x02\x12\x03\x13\x04\x14\x05\x15'
devices=cpu
if "$ndbuf" explain in.npy --to opencl:0 >/dev/null 2>&1; then
    devices='cpu opencl:0'
fi
npy flipped.npy "'<i2'" False '(2, 3)' '\x02\x12\x01\x11\x00\x10\x05\x15\x04\x14\x03\x13'
npy transposed.npy "'<i2'" False '(3, 2)' '\x00\x10\x03\x13\x01\x11\x04\x14\x02\x12\x05\x15'
npy row.npy "'<i2'" False '(3,)' '\x03\x13\x04\x14\x05\x15'
npy item.npy "'<i2'" False '()' '\x05\x15'
npy none.npy "'<i2'" False '(2, 0)' ''
npy fortran.npy "'<i2'" True '(3, 2)' '\x00\x10\x01\x11\x02\x12\x03\x13\x04\x14\x05\x15'
npy records.npy "[('x', '>f4'), ('p', [('a', '|u1'), ('b', '<u2')], (2,))]" False '(2,)' \
    '\x01\x02\x03\x04abcdef\x05\x06\x07\x08ghijkl'
npy b.npy "'<u2'" False '(2, 2)' 'bcefhikl'
npy p.npy "[('a', '|u1'), ('b', '<u2')]" False '(2, 2)' 'abcdefghijkl'
for device in $devices; do
    run 0 copy in.npy got.npy --through "$device"
    same got.npy in.npy
    prints err ''
    run 0 copy in.npy got.npy --slice ':,::-1' --through "$device"
    same got.npy flipped.npy
    has out 'written, and equal to the view item by item: 6 items, 12 bytes'
    run 0 copy in.npy got.npy --transpose --through "$device"
    same got.npy transposed.npy
    run 0 copy in.npy got.npy --permute 1,0 --through "$device"
    same got.npy transposed.npy
    run 0 copy fortran.npy got.npy --transpose --through "$device"
    same got.npy in.npy
    run 0 copy fortran.npy got.npy --through "$device"
    same got.npy transposed.npy
    run 0 copy in.npy got.npy --slice=-1 --through "$device"
    same got.npy row.npy
    run 0 copy in.npy got.npy --slice '-1,...,-1' --through "$device"
    same got.npy item.npy
    run 0 copy in.npy got.npy --slice '...,3:' --through "$device"
    same got.npy none.npy
    run 0 copy records.npy got.npy --through "$device"
    same got.npy records.npy
    run 0 copy records.npy got.npy --field p.b --through "$device"
    same got.npy b.npy
    run 0 copy records.npy got.npy --field p --through "$device"
    same got.npy p.npy
done
cp in.npy itself.npy
run 0 copy itself.npy itself.npy --slice ':,::-1' --through cpu
same itself.npy flipped.npy
nchecks=$((nchecks + 1))
[ -z "$(ls ./*.tmp-* 2>/dev/null)" ] || fails "temporary files were left behind"

# What is replaced keeps its mode, and a link its place.
mkdir elsewhere
cp in.npy elsewhere/private.npy
chmod 600 elsewhere/private.npy
ln -s elsewhere/private.npy link.npy
run 0 copy in.npy link.npy --slice ':,::-1' --through cpu
same elsewhere/private.npy flipped.npy
nchecks=$((nchecks + 2))
[ -L link.npy ] || fails "$what: no link any more"
[ "$(stat -c %a elsewhere/private.npy)" = 600 ] || fails "$what: another mode"
ln -s elsewhere/nothing.npy loose.npy
run 1 copy in.npy loose.npy --through cpu
has err "cannot replace 'loose.npy': it is a link to what is not there"
nchecks=$((nchecks + 1))
[ -L loose.npy ] || fails "$what: no link any more"

run 2 copy in.npy --through cpu
has err 'ndbuf: copy: no .npy file to write'
run 2 copy in.npy got.npy
has err 'ndbuf: copy: no --through DEVICE'
run 2 copy in.npy got.npy third --through cpu
has err "'third' is one argument too many"
run 2 copy in.npy got.npy --slice '1:2:3:4' --through cpu
has err 'ndbuf: copy: --slice: '
run 2 copy in.npy got.npy --permute 1,x --through cpu
has err "ndbuf: copy: --permute: 'x' is not an axis"

# What fails leaves no file, and what was there as it was.
refuses() {
    local text=$1
    shift
    cp flipped.npy target.npy
    run 1 copy "$@"
    has err "ndbuf: "
    has err "$text"
    same target.npy flipped.npy
    nchecks=$((nchecks + 1))
    [ -z "$(ls ./*.tmp-* 2>/dev/null)" ] || fails "$what: a temporary file was left behind"
}
head -c 100 in.npy >cut.npy
head -c 135 in.npy >short.npy
printf 'P6 1 1 255 abc' >picture.npy
npy objects.npy "'|O'" False '(1,)' '12345678'
npy huge.npy "'<f8'" False '(4294967296, 4294967296)' ''
npy text.npy "'<f8'" False '(two,)' ''
refuses 'No such file' missing.npy target.npy --through cpu
refuses 'cut.npy: the header is cut off: 118 bytes promised, 90 are there' cut.npy target.npy --through cpu
refuses 'short.npy: the data is cut off: the header promises 12 bytes, 7 are there' short.npy target.npy --through cpu
refuses 'picture.npy: not a .npy file' picture.npy target.npy --through cpu
refuses "objects.npy: descr: type '|O' holds Python objects" objects.npy target.npy --through cpu
refuses 'huge.npy: header: shape times an item of 8 bytes is beyond 63 bits' huge.npy target.npy --through cpu
refuses "text.npy: header at 51: expected an integer, found 't'" text.npy target.npy --through cpu
refuses "--slice '0,0,0': 3 indices for 2 axes" in.npy target.npy --slice 0,0,0 --through cpu
refuses "--permute '0': 1 axes listed, the view has 2" in.npy target.npy --permute 0 --through cpu
refuses "--field 'x': " in.npy target.npy --field x --through cpu
refuses 'nowhere' in.npy target.npy --through nowhere:0
refuses 'cuda:999999' in.npy target.npy --through cuda:999999
refuses 'cannot create' in.npy missing/target.npy --through cpu
refuses 'is not a regular file' in.npy /dev/null --through cpu

# --- conversion ---
zeros='\x00\x00\x00\x00\x00'
npy doubles.npy "'<f8'" False '(2, 2)' \
    "$zeros"'\x00\xf8\x3f'"$zeros"'\x00\x00\xc0'"$zeros"'\xc0\x72\x40'"$zeros"'\x00\xf0\x7f'
npy halves.npy "'<f2'" False '(2, 2)' '\x00\x3e\x00\xc0\xb0\x5c\x00\x7c'
npy bfloats.npy "'<V2'" False '(2, 2)' '\xc0\x3f\x00\xc0\x96\x43\x80\x7f'
npy bytes.npy "'|u1'" False '(2, 2)' '\x01\x00\xff\xff'
npy subset.npy "[('b', '<u2'), ('', '|V1'), ('a', '>f4')]" False '(2,)' \
    '\x62\x63\x00\x42\xc2\x00\x00\x65\x66\x00\x42\xc8\x00\x00'
npy pairs.npy "[('a', '|u1'), ('b', '<u2')]" False '(2,)' 'abcdef'
for device in $devices; do
    run 0 copy doubles.npy got.npy --as e --through "$device"
    same got.npy halves.npy
    has out 'written, and equal to what the host makes of the view item by item: 4 items, 8 bytes'
    run 0 copy doubles.npy got.npy --as bfloat16 --through "$device"
    same got.npy bfloats.npy
    run 0 copy doubles.npy got.npy --as B --casting unsafe --saturate --through "$device"
    same got.npy bytes.npy
    run 0 copy pairs.npy got.npy --as 'T{<H:b:x>f:a:}' --through "$device"
    same got.npy subset.npy
    run 0 copy halves.npy got.npy --as e --casting no --through "$device"
    same got.npy halves.npy
done
refuses "by rule 'same_kind': field 0: <d to B takes 'unsafe'" doubles.npy target.npy --as B --through cpu
refuses "by rule 'safe': field 0: <d to <f takes 'same_kind'" doubles.npy target.npy --casting safe --as f --through cpu
refuses "--as 'Y': at 0: " doubles.npy target.npy --as Y --through cpu
refuses "a .npy file cannot hold items of '^P'" in.npy target.npy --as P --through cpu
run 2 copy in.npy got.npy --through cpu --as f --casting loose
has err "ndbuf: copy: --casting: 'loose' is not a casting rule"

# --- show ---
run 0 show in.npy
prints out "in.npy
  shape (2, 3), type '<i2', C order, 12 bytes
view of it
  shape (2, 3), strides (6, 2), items of 2 bytes, 12 bytes
items of format '<h'
  [0, 0]  4096
  [0, 1]  4353
  [0, 2]  4610
  [1, 0]  4867
  [1, 1]  5124
  [1, 2]  5381"
for device in $devices; do
    run 0 show records.npy --field p --slice '1' -n 1 --on "$device"
    prints out "records.npy
  shape (2,), type [('x', '>f4'), ('p', [('a', '|u1'), ('b', '<u2')], (2,))], C order, 20 bytes
view of it
  shape (2,), strides (3,), items of 3 bytes, 6 bytes
items on $device of format 'T{<B:a:<H:b:}'
  [0]  {a: 103, b: 26984}
  and 1 more"
    run 0 show doubles.npy --as bfloat16 --on "$device" --slice '...,::-1'
    has out "items on $device of format 'T{<2x:bfloat16:}'"
    has out '  [0, 0]  -2.0'
    has out '  [1, 0]  inf'
    has out '  [1, 1]  300.0'
done
run 0 show item.npy
has out '  5381'
run 0 show none.npy
has out "items of format '<h'"
run 2 show
has err 'ndbuf: show: no .npy file'
run 2 show in.npy more.npy
has err "'more.npy' is one argument too many"
run 2 show in.npy -n none
has err "'none' is not a number of items"
run 2 show in.npy --casting loose
has err "--casting: 'loose' is not a casting rule"
run 1 show in.npy --on nowhere:0
has err 'nowhere'

# --- explain ---
run 0 explain doubles.npy --to cpu --as f
has out "converts: from items of 8 bytes '<d', casting same_kind"
run 0 explain doubles.npy --to cpu --as B --casting unsafe --json
has out '"as": "<B"'
has out '"casting": "unsafe"'
run 1 explain doubles.npy --to cpu --as B
has err "by rule 'same_kind'"
run 0 explain in.npy --slice ':,::-2' --to cpu
has out 'shape (2, 2), strides (6, -4)'
has out 'cpu to cpu, packed there'
run 0 explain in.npy --transpose --from cpu --to cpu --json
has out '"shape": [3, 2]'
has out '"strides": [2, 6]'
has out '"route": '
run 2 explain in.npy
has err 'ndbuf: explain: no --to DEVICE'
run 2 explain --to cpu
has err 'ndbuf: explain: no .npy file'
run 1 explain in.npy --to cpu --slice 5
has err "ndbuf: --slice '5': "

# --- bench ---
run 0 bench --size 4K --rounds 1
has out 'cpu to cpu'
has out 'every result was verified'
run 0 bench --size 4K --rounds 2 --json
has out '"rounds": 2'
has out '"verified": true'
run 0 bench --size 4K --rounds 1 --json bench.json
prints out ''
nchecks=$((nchecks + 1))
[ -s bench.json ] || fails "$what: no bench.json"
run 0 bench --size 4K --rounds 1 --quick
has out 'about 4.1 kB each, medians of 1 rounds'
run 2 bench --size 0
has err "'0' is not a number of bytes"
run 2 bench --rounds 100
has err "'100' is not a number of rounds from 1 to 99"
run 2 bench extra
has err "'extra' is one argument too many"
run 1 bench --device nowhere:0
has err 'nowhere'

# --- constants ---
run 0 bench --calibrate found.txt --quick
prints out ''
has err 'cpu.stream_nbytes'
has err 'link.cpu.cpu: '
has found.txt 'version = 1'
has found.txt 'link.cpu.cpu.bytes_per_ns = '
run 0 bench --quick --calibrate
has out 'version = 1'
run 1 bench --quick --calibrate missing/found.txt
has err "cannot write 'missing/found.txt'"
run 2 bench --calibrate --json x
has err "'x' is one argument too many"
run 2 bench --calibrate --json
has err '--calibrate goes with --quick alone'
run 2 bench --calibrate --size 4K
export NDBUF_TUNING=found.txt
run 0 devices
has out 'constants from found.txt, measured on '
printf 'version = 1\ncpu.stream_nbytes = lots\n' >bad.txt
export NDBUF_TUNING=bad.txt
run 0 devices
has out "tuning: the defaults: NDBUF_TUNING: bad.txt: line 2: not a number 'lots'"
for command in 'copy in.npy got.npy --through cpu' 'explain in.npy --to cpu' 'bench --size 4K --rounds 1'; do
    # shellcheck disable=SC2086 # words
    run 0 $command
    has err "the defaults of all constants: NDBUF_TUNING: bad.txt: line 2: not a number 'lots'"
done
run 0 devices --json
has out '"reason": "bad.txt: line 2'
export NDBUF_TUNING=missing.txt
run 0 devices
has out "cannot open 'missing.txt': No such file"
unset NDBUF_TUNING

# --- JSON is JSON ---
if command -v python3 >/dev/null; then
    npy 'qu"ote.npy' "'<i2'" False '(1,)' 'ab'
    "$ndbuf" devices --json >devices.json
    "$ndbuf" explain 'qu"ote.npy' --to cpu --json >explain.json
    for file in devices.json explain.json bench.json; do
        nchecks=$((nchecks + 1))
        python3 -m json.tool "$file" >out 2>err || fails "$file is not JSON"
    done
    has explain.json 'qu\"ote.npy'
fi

echo "$((nchecks - nfailed)) passed, $nfailed failed"
[ "$nfailed" -eq 0 ]
