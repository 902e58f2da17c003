# grep: recursive, counts, context, expressions, status.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
mkdir -p logs/old
printf 'alpha\nbeta\nGamma\ndelta beta\n' >logs/one
printf 'beta\n\nomega\n' >logs/two
printf 'BETA max\nnothing\n' >logs/old/three
grep beta logs/one
echo "-- recursive"; grep -r beta logs | sort
echo "-- names only"; grep -rl beta logs | sort
echo "-- without"; grep -rL beta logs | sort
echo "-- numbers"; grep -n beta logs/one logs/two
echo "-- case"; grep -ri beta logs | sort
echo "-- counts"; grep -c beta logs/one logs/two
echo "-- inverse"; grep -v beta logs/one
echo "-- words"; grep -w max logs/old/three; grep -w ma logs/old/three || echo none
echo "-- matches only"; grep -o '[a-z]*a$' logs/one
echo "-- extended"; grep -E '^(alpha|omega)$' logs/one logs/two
echo "-- fixed"; echo 'a.b axb' | grep -oF a.b
echo "-- context"; grep -A1 -B1 Gamma logs/one
echo "-- classes"; printf 'a1\nb\n22\n' | grep '^[[:digit:]]*$'
echo "-- back reference"; printf 'abab\nabba\n' | grep '\(ab\)\1'
echo "-- quiet"; grep -q beta logs/one; echo $?; grep -q zeta logs/one; echo $?; grep zeta none; echo $?
echo "-- empty lines"; grep -n '^$' logs/two
