# Subshells and groups: what they keep to themselves.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
x=1; (x=2; echo $x); echo $x
(cd /; pwd); [ "$PWD" = "$here" ] && echo "still here"
(exit 7); echo $?
{ x=3; echo grouped; }; echo $x
(echo one; echo two) | wc -l
{ echo out; echo err >&2; } 2>&1 | sort
(trap 'echo bye' EXIT; echo working)
(umask 077; umask); [ "$(umask)" != 0077 ] && echo restored
( ( (echo deep) ) )
echo piped | (read -r word; echo "got $word")
echo lost | read -r word; echo "[$word]"
f() (x=inside; echo $x); f; echo $x
(set -e; false; echo not reached); echo "status $?"
for i in 1 2 3; do (exit $i) || echo "failed $i"; done
(sleep 0.1; echo later) & wait; echo end
exec 3>file; (echo through >&3); exec 3>&-; cat file
(echo a; exec echo b; echo c)
