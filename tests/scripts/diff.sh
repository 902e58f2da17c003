# diff, patch, cmp.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
seq 1 20 >old
sed -e '3s/.*/three/' -e '10d' -e '15a\extra' old >new
diff old new; echo "status $?"
diff -u old new | sed '1,2s/\t.*//'
diff old old && echo same
diff -q old new
diff -u old new >change; cp old work && patch work change && cmp work new && echo patched
patch -R work change && cmp work old && echo "and back"
mkdir a b && cp old a/file && cp new b/file && echo only >a/single
diff -r a b | head -n 2; diff -rq a b
printf 'a  b\n' >x; printf 'a b\n' >y; diff -b x y && echo "blanks do not count"
printf 'A\n' >x; printf 'a\n' >y; diff -i x y && echo "case does not count"
diff none old 2>/dev/null; echo "status $?"
cmp old new; cmp -s old new; echo "status $?"
printf 'no newline' >x; printf 'no newline\n' >y; diff x y; echo "status $?"
