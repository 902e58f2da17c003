# sed: substitution, addresses, hold space, in place.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
printf '%s\n' one two three four five >file
sed 's/o/0/g' file
echo "-- nth"; echo aaaa | sed 's/a/b/3'
echo "-- groups"; echo 'key = value' | sed 's/\([a-z]*\) = \([a-z]*\)/\2 -> \1/'
echo "-- extended"; echo 'foo123bar' | sed -E 's/([0-9]+)/<\1>/; s/^(f)(o+)/\2\1/'
echo "-- lines"; sed -n '2,3p' file
echo "-- to the end"; sed -n '4,$p' file
echo "-- pattern range"; sed -n '/two/,/four/p' file
echo "-- delete"; sed '/t/d' file
echo "-- not"; sed '3!d' file
echo "-- insert, append, change"; sed -e '1i\top' -e '2a\after two' -e '3c\THREE' file
echo "-- translate"; sed 'y/abc/xyz/' <<END
aabbcc
END
echo "-- quit"; sed 2q file
echo "-- join"; sed ':a;N;$!ba;s/\n/,/g' file
echo "-- reverse"; sed -n '1!G;h;$p' file
echo "-- whole match"; sed 's/.*/[&]/' file | head -n 2
echo "-- numbers"; sed -n '/three/=' file
echo "-- in place"; sed -i.bak 's/five/5/' file; tail -n 1 file file.bak
echo "-- several files"; sed -n '$p' file file.bak
echo "-- script file"; printf 's/one/1/\n/two/d\n' >script; sed -f script file
sed none 2>/dev/null </dev/null; echo "status $?"
