# dd: blocks, skipping, seeking, conversion.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
dd if=/dev/zero of=zeros bs=4096 count=16 2>/dev/null && wc -c <zeros
printf '0123456789abcdef' >text
dd if=text bs=1 skip=4 count=4 2>/dev/null; echo
dd if=text of=copy bs=5 2>&1 | head -n 2
printf XX | dd of=copy bs=1 seek=3 conv=notrunc 2>/dev/null; cat copy; echo
printf YY | dd of=copy bs=1 seek=3 2>/dev/null; cat copy; echo
dd if=/dev/zero of=sparse bs=1 count=0 seek=1M 2>/dev/null; stat -c %s sparse; tr -d '\0' <sparse | wc -c
dd if=/dev/zero bs=1M count=8 2>/dev/null | wc -c
seq 1000 | dd bs=100 count=1 2>/dev/null | wc -c
dd if=none 2>/dev/null; echo "status $?"
