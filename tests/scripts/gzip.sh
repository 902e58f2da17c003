# gzip, gunzip, zcat, bzip2, xz: there and back.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
seq 1 50000 >data
sum=$(sha256sum <data)
gzip -c data | gunzip | wc -l
gzip data && ls && zcat data.gz | tail -n 1 && gunzip data.gz && ls
[ "$(sha256sum <data)" = "$sum" ] && echo unchanged
gzip -c data >best.gz && [ "$(wc -c <best.gz)" -lt 150000 ] && echo smaller
gzip -t best.gz && echo good
head -c 1000 best.gz >cut.gz; gunzip -c cut.gz >/dev/null 2>&1; echo "status $?"
echo no | gunzip 2>/dev/null; echo "status $?"
bzip2 -c data | bunzip2 | sha256sum | cut -c1-16
gzip -c </dev/null | gunzip | wc -c
gzip -c data >two.gz; gzip -c data >>two.gz; gunzip -c two.gz | wc -l
