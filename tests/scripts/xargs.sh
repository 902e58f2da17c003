# xargs: batches, placeholders, separators, status.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
seq 7 | xargs
seq 7 | xargs -n 3 echo line
printf 'a\nb\n' | xargs -I {} echo '<{}> and {}'
mkdir d && touch 'd/with space' d/plain
find d -type f -print0 | xargs -0 -n 1 basename | sort
echo 'one two' | xargs -n 1
printf "'quoted word' plain" | xargs -n 1 echo
xargs echo empty </dev/null
xargs -r echo never </dev/null
seq 1 5000 | xargs echo | wc -w
seq 3 | xargs -n 1 sh -c 'exit 1' ; echo "status $?"
echo x | xargs none 2>/dev/null; echo "status $?"
echo 1 2 3 | xargs -t echo 2>&1
