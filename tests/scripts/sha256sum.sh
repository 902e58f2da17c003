# sha256sum of 16 MiB, from a pipe and from a file.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
yes 'The quick brown fox jumps over the lazy dog' | head -c 16777216 >big
sha256sum big
sha256sum <big
md5sum big
cp big copy && cmp big copy && echo same
echo x >>copy; cmp big copy; echo "status $?"
sha256sum big copy >sums && sha256sum -c sums
rm copy; echo abc >copy; sha256sum -c sums 2>/dev/null; echo "status $?"
printf '' | sha256sum
wc -c big
