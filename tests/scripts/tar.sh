# tar: create, list, extract, with links and modes.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
export TZ=UTC0
mkdir -p tree/sub
echo one >tree/one
head -c 10000 /dev/zero | tr '\0' x >tree/sub/big
ln -s one tree/link
ln tree/one tree/twin
chmod 640 tree/one
chmod 755 tree/sub
find tree -exec touch -h -d '2026-01-02 03:04:05' {} \;
tar cf all.tar tree/one tree/sub tree/link
tar tf all.tar
echo "-- verbose"; tar tvf all.tar | grep -v '/$' | awk '{ print $1, $3, $4, $5, $6, $7, $8 }'
mkdir out && tar xf all.tar -C out && find out | sort
cmp tree/sub/big out/tree/sub/big && readlink out/tree/link && stat -c '%a %Y' out/tree/one
echo "-- compressed"; tar czf all.tgz tree && tar tzf all.tgz | sort && [ "$(wc -c <all.tgz)" -lt 1000 ] && echo small
echo "-- piped"; tar cf - tree | tar xf - -O tree/sub/big | wc -c
echo "-- stripped"; mkdir flat && tar xf all.tar -C flat --strip-components 1 && find flat -type f | sort
echo "-- one file"; rm -r out/tree && tar xzf all.tgz -C out tree/link && ls -A out/tree
echo "-- damaged"; head -c 5000 all.tar >cut.tar; tar tf cut.tar >/dev/null 2>&1; echo "status $?"
