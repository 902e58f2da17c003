# find: names, types, depth, size, pruning, actions.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
mkdir -p src/lib/inner doc .git/objects
for name in src/main.c src/lib/a.c src/lib/b.h src/lib/inner/c.c doc/readme .git/objects/x; do
    echo "// $name" >"$name"
done
head -c 5000 /dev/zero >doc/big
ln -s ../src doc/link
chmod +x doc/readme
find . | sort
echo "-- names"; find . -name '*.c' | sort
echo "-- either"; find . -name '*.h' -o -iname 'README' | sort
echo "-- folders"; find . -type d ! -path './.git*' | sort
echo "-- links"; find . -type l
echo "-- depth"; find . -mindepth 1 -maxdepth 1 | sort
echo "-- pruned"; find . -name .git -prune -o -type f -print | sort
echo "-- size"; find . -type f -size +4k
echo "-- executable"; find . -type f -perm -111
echo "-- newer"; touch -d '2000-01-01' doc/readme; find doc -type f ! -newer doc/readme
echo "-- exec"; find src -name '*.c' -exec basename {} \; | sort
echo "-- exec, at once"; find src -name '*.c' -exec echo {} + | wc -l
echo "-- empty"; : >doc/none; find doc -empty
echo "-- remove"; find src -name '*.h' -exec rm {} \;; find src -type f | sort
find none; echo "status $?"
