#!/bin/bash
# What Debian's bash-static must do: arrays, functions, traps, expansions, jobs, process substitution.
# One section after another; the output depends on nothing but bash. Run it as `bash-static tests/linux/features.bash`.

set -u
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT

section() {
    printf -- '-- %s\n' "$1"
}

section "indexed arrays"
fruits=(apple "dried fig" pear)
fruits+=(quince)
echo "${#fruits[@]}: ${fruits[1]}, ${fruits[-1]}"
for fruit in "${fruits[@]}"; do
    echo "<$fruit>"
done
echo "${fruits[@]:1:2}"
unset 'fruits[0]'
echo "${!fruits[@]}"
sparse=([5]=five [2]=two)
echo "${sparse[*]}"
mapfile -t lines < <(printf 'l1\nl2\nl3\n')
echo "${#lines[@]} ${lines[2]}"

section "associative arrays"
declare -A age=([alice]=30 [bob]=25)
age[carol]=41
for name in $(printf '%s\n' "${!age[@]}" | sort); do
    echo "$name is ${age[$name]}"
done
[[ -v age[bob] ]] && echo "bob is known"
unset 'age[bob]'
echo "${#age[@]}"

section "functions"
factorial() {
    local n=$1
    if ((n < 2)); then
        echo 1
    else
        echo $((n * $(factorial $((n - 1)))))
    fi
}
factorial 10
swap() {
    local -n left=$1 right=$2
    local keep=$left
    left=$right
    right=$keep
}
a=1 b=2
swap a b
echo "$a $b"
scope() {
    local a=inner
    show
}
show() {
    echo "a=$a from ${FUNCNAME[1]}"
}
scope
echo "a=$a"
status_of() {
    "$@" || return $?
}
status_of false
echo "status $?"
variadic() {
    echo "$# arguments, last ${!#}, joined $(IFS=+; echo "$*")"
}
variadic 1 2 3

section "expansions"
path=/usr/share/doc/readme.txt.gz
echo "${path##*/} ${path%/*} ${path%%.*} ${path#*.}"
echo "${path/share/lib} ${path//r/R}"
text="hello world"
echo "${text^} ${text^^} ${text:6} ${text: -5:3} ${#text}"
echo "${missing:-default} ${text:+present}"
echo {a..e} {1..10..3} pre{x,y}post
printf '%q\n' 'needs quoting'
printf '%05.1f|%-6s|%x\n' 3.14159 left 255
printf -v formatted '%03d' 7
echo "$formatted"
echo $'tab\there' "${text@Q}"

section "conditions"
[[ $text == hello* && $text != *moon* ]] && echo "pattern"
[[ $text =~ ^(hello)\ (w.*)$ ]] && echo "${BASH_REMATCH[2]} ${BASH_REMATCH[1]}"
[[ abc < abd ]] && echo "order"
((3 ** 4 == 81)) && echo "power"
case $path in
*.txt) echo "plain" ;;
*.gz) echo "packed" ;;&
*readme*) echo "readme" ;;
esac
shopt -s extglob
[[ aaab == +(a)b ]] && echo "extended glob"

section "loops"
for ((i = 0, j = 10; i < j; i += 3, j -= 2)); do
    echo "$i $j"
done
n=0
until ((n == 3)); do
    ((n++))
    ((n == 2)) && continue
    echo "n=$n"
done
while IFS=: read -r key value; do
    echo "$key -> $value"
done <<'END'
one:1
two:2
END
seq 5 | while read -r number; do
    ((number == 4)) && break
    echo -n "$number "
done
echo
select_sum=0
for number in {1..1000}; do
    ((select_sum += number))
done
echo "$select_sum"

section "redirection and substitution"
cat <(echo first) <(echo second)
diff <(printf 'a\nb\n') <(printf 'a\nc\n')
exec {log}>log
echo "logged" >&"$log"
exec {log}>&-
cat log
{
    echo out
    echo err >&2
} 2> >(sed 's/^/2: /' >errors) | sed 's/^/1: /'
until [[ -s errors ]]; do sleep 0.05; done
cat errors
tr a-z A-Z <<<"here string"
cat <<-END
	$(echo computed) and \$literal
	END

section "traps"
(
    trap 'echo "exit trap, status $?"' EXIT
    trap 'echo "err trap"' ERR
    false
    exit 3
)
echo "status $?"
trap 'echo "caught USR1"' USR1
kill -USR1 $$
(
    trap 'echo "child told"; exit 0' TERM
    : >ready
    while :; do sleep 0.05; done
) &
until [[ -e ready ]]; do sleep 0.05; done
kill $!
wait $!
echo "status $?"
return_trap() {
    trap 'echo "leaving ${FUNCNAME[0]}"; trap - RETURN' RETURN
    echo "inside"
}
return_trap
(
    counted=0
    trap 'counted=$((counted + 1))' DEBUG
    true
    true
    trap - DEBUG
    echo "debug trap $((counted > 1))"
)
(
    trap '' HUP
    kill -HUP $BASHPID
    trap 'echo "told while waiting"; trap "" USR2; : >told' USR2
    parent=$BASHPID
    (until [[ -e told ]]; do kill -USR2 "$parent"; sleep 0.05; done) &
    until [[ -e told ]]; do wait $!; done
    wait
    trap -p HUP USR2
)

section "arrays and functions together"
declare -A count=()
declare -a order=()
tally() {
    local -n into=$1 seen=$2
    shift 2
    for word; do
        [[ -v into[$word] ]] || seen+=("$word")
        into[$word]=$((${into[$word]:-0} + 1))
    done
}
tally count order the cat and the dog and the bird
for word in "${order[@]}"; do printf '%s=%d ' "$word" "${count[$word]}"; done
echo
mapfile -t sorted < <(printf '%s\n' "${!count[@]}" | sort -r)
echo "${#sorted[@]} ${sorted[*]:1:2} ${sorted[-1]}"
unset 'count[the]' 'order[0]'
echo "${#count[@]} ${!order[*]} ${order[@]/#/<}"

section "jobs"
for delay in 6 2 4; do
    (
        sleep "$delay"
        echo "after $delay"
    ) &
done
wait
(exit 7) &
wait $!
echo "status $?"
coproc upper { while read -r line; do echo "${line^^}"; done; }
echo "to a coprocess" >&"${upper[1]}"
read -r answer <&"${upper[0]}"
echo "$answer"
eval "exec ${upper[1]}>&-"
wait
set -o pipefail
false | true
echo "pipefail $? ${PIPESTATUS[*]}"

section "end"
exit 0
