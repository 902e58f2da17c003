# Command substitution and arithmetic.
echo "[$(echo inner)] [`echo old`]"
echo "$(echo "$(echo nested "$(echo deeper)")")"
lines=$(printf 'a\nb\n\n\n'); echo "[$lines]"
echo $(seq 5)
count=$(seq 100 | wc -l); echo $((count * 2))
x=$(exit 3); echo $?
false_or=$(false) || echo "status is passed on"
echo "$(cat /etc/passwd | head -n 1 | cut -d: -f1)"
echo $((7 / 2)) $((7 % 3)) $((2 * (3 + 4))) $((1 << 10)) $((0x1f)) $((010)) $((5 > 3 && 2 > 1)) $((~0)) $((-7 / 2))
i=5; echo $((i++)) $i $((++i)) $((i += 10)) $((i > 3 ? 1 : 0))
big=$(seq 50000); echo ${#big}
echo "$(echo 'quotes "inside" here')"
echo "$(case x in x) echo case ;; esac)"
f() { echo "out $1"; return 2; }; got=$(f 1); echo "$got $?"
echo $(( $(echo 20) + $(echo 22) ))
