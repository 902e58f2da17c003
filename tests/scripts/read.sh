# read: fields, raw, separators, time-outs, end of input.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
echo 'one two three four' | { read -r a b rest; echo "$a|$b|$rest"; }
echo 'a:b:c' | { IFS=: read -r a b c; echo "$a $b $c"; }
printf 'back\\slash\n' | { read line; echo "$line"; }
printf 'back\\slash\n' | { read -r line; echo "$line"; }
printf '  spaces  \n' | { read -r line; echo "[$line]"; }
printf '  spaces  \n' | { IFS= read -r line; echo "[$line]"; }
printf 'no newline' | { read -r line; echo "$? [$line]"; }
read -r line </dev/null; echo "status $? [$line]"
printf '1\n2\n3\n' | while read -r n; do echo "n=$n"; done
printf 'abcdef' | { read -r -n 3 part; echo "$part"; }
printf 'a;b;' | { read -r -d ';' part; echo "$part"; }
sh -c 'echo $$ >pid; exec sleep 300' | { read -r -t 0.1 line; echo "timed out: $?"; until [ -s pid ]; do sleep 0.05; done; kill -PIPE $(cat pid); }
printf 'x\ny\n' >file; { read -r first; read -r second; } <file; echo "$first$second"
exec 4<file; read -r a <&4; read -r b <&4; read -r c <&4; echo "$a $b $? [$c]"; exec 4<&-
seq 2000 | while read -r n; do sum=$((sum + n)); [ "$n" = 2000 ] && echo "$sum"; done
printf 'line one\nline two\n' | { read -r; echo "$REPLY"; }
