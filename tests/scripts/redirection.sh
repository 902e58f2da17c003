# Redirection: in, out, append, descriptors, errors, order.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
echo first >file; echo second >>file; cat file
cat <file | wc -l
ls none >out 2>err; echo "status $?"; wc -l <out; wc -l <err
{ echo out; echo err >&2; } >both 2>&1; sort both
{ echo out; echo err >&2; } 2>&1 >/dev/null
echo gone >/dev/null; cat /dev/null
exec 5>fd; echo five >&5; exec 5>&-; cat fd
{ echo five >&5; } 2>/dev/null; echo "status $?"
(set -C; echo no >file) 2>/dev/null; echo "status $?"; (set -C; echo yes >|file); cat file
echo hi | tee copy | tr a-z A-Z; cat copy
exec 6<>file; read -r line <&6; echo "more" >&6; exec 6>&-; cat file
echo x >/none/file 2>/dev/null; echo "status $?"
cat nofile - <<END 2>/dev/null
from stdin
END
echo data | cat - file | head -n 1
head -c 5 /dev/urandom | wc -c
echo full >/dev/full 2>/dev/null; echo "status $?"
yes | head -n 1
