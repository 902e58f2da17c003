# test: files, strings, numbers, and their combinations.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
echo text >file; : >empty; mkdir folder; ln -s file link; ln -s none dangling; mkfifo queue; chmod 555 folder; chmod 755 file
check() { if [ "$@" ]; then echo "yes: $*"; else echo "no:  $*"; fi; }
for name in file empty folder link dangling queue none; do
    for what in -e -f -d -L -p; do check $what $name; done
done
check -s file; check -s empty; check -s none
check -x file; check -r file; check -c /dev/null; check -b /dev/null
check abc = abc; check abc != abc; check -n ''; check -z ''; check ''; check word
check 3 -eq 3; check 3 -ne 3; check 2 -lt 10; check 2 -ge 10; check -5 -lt 0
check ! -e none; check -e file -a -d folder; check -e none -o -d folder; check ! -e file -o -e empty
check \( -e none -o -e file \) -a -s file
touch -d '2001-01-01' old; check file -nt old; check old -ot file; ln file twin; check file -ef twin
[[ abc == a* ]] && echo pattern
test; echo "status $?"; [ a = ]; echo "status $?"; [ x -eq 1 ] 2>/dev/null; echo "status $?"
[ -t 0 ] || echo "no terminal"
