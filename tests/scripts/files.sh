# cp, mv, rm, mkdir, rmdir, ln, touch, chmod, stat.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
mkdir -p from/sub to
echo data >from/file
echo more >from/sub/file
ln -s file from/link
chmod 751 from/sub
cp from/file copy && cat copy
cp -r from again && find again | sort
cp -a from/. to && readlink to/link && stat -c '%A %n' to/sub
cp from/file from/sub/file to && cat to/file
cp none to; echo "status $?"
mv copy renamed && [ ! -e copy ] && cat renamed
mv renamed to/sub && ls to/sub
mv from to/sub && ls to/sub
mkdir to; echo "status $?"
mkdir -p to/a/b/c && rmdir to/a/b/c && rmdir -p to/a/b; [ -d to ] && echo "to stays: it is not empty"
ln to/file hard && stat -c '%h' hard && rm to/file && stat -c '%h %s' hard && cat hard
ln -s none dangling; cat dangling; echo "status $?"
rm dangling hard; rm none; echo "status $?"; rm -f none; echo "status $?"
rmdir to; echo "status $?"
rm -r to again && ls
touch -d '2001-02-03 04:05:06' old && TZ=UTC0 stat -c '%y' old | cut -c1-19
touch new && [ new -nt old ] && echo newer
chmod u=rw,g=r,o= new && stat -c '%a' new
chmod a+x new && stat -c '%a' new
umask 077; : >private; stat -c '%a' private
