# ls: long, recursive, hidden, sorted; sizes of folders are the file system's own and left out.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
export TZ=UTC0
mkdir -p tree/sub/deep
echo one >tree/a
printf '%03000d' 0 >tree/b.txt
: >tree/.hidden
echo x >tree/sub/deep/file
ln -s a tree/link
ln tree/a tree/sub/twin
mkfifo tree/queue
chmod 640 tree/a
chmod 4755 tree/b.txt
find tree -exec touch -h -d '2026-01-02 03:04:05' {} \;

ls tree
echo "-- all"; ls -A tree
echo "-- recursive"; ls -R tree
echo "-- long"; ls -ln tree/a tree/b.txt tree/link tree/queue
echo "-- full time"; ls -l --full-time tree/a | awk '{ print $6, $7, $8 }'
echo "-- folder"; ls -ld tree/sub | cut -c1-10
echo "-- types"; ls -F tree
echo "-- by size"; ls -S tree/a tree/b.txt tree/queue
echo "-- by size, reversed"; ls -1Sr tree/a tree/b.txt tree/queue
echo "-- inodes"; [ "$(ls -i tree/a | awk '{ print $1 }')" = "$(ls -i tree/sub/twin | awk '{ print $1 }')" ] && echo same
echo "-- missing"; ls tree/none; echo "status $?"
