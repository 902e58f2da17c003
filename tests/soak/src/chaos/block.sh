# The same work again and again: what comes out between two stamps is the same in each round, whatever happens to the servers. A stamp says
# which step begins and when, so that what is wrong can be laid at a fault's door; where the time cannot be read it says none, never the one before. Nothing
# else depends on time or on process numbers.
exec 2>&1
step=0
stamp() {
    step=$((step + 1))
    now=
    read -r now rest < /proc/uptime
    echo "=== $step $now"
}
while [ $rounds -ne 0 ]; do
    rounds=$((rounds - 1))
    stamp; rm -rf /tmp/load; mkdir -p /tmp/load/sub && cd /tmp/load && echo begin
    stamp; echo hello | cat > f && cat f
    stamp; for i in 1 2 3 4; do echo "line $i" | cat >> g; done; cat g
    stamp; sort -r g | tr a-z A-Z
    stamp; for i in 1 2; do mkdir d$i && echo "$i" > d$i/x && mv d$i/x sub/x$i && rmdir d$i; done; ls sub
    stamp; cat sub/x* && ln -s sub/x1 link && cat link && ln sub/x2 hard && rm sub/x2 && cat hard
    stamp; seq 1 500 | grep 7 | wc -l
    stamp; (echo in a subshell; exit 3); echo "status $?"
    stamp; sleep 1000 & kill -TERM $!; wait $! 2>/dev/null; echo "killed $?"
    stamp; sh -c 'trap "echo caught" USR1; kill -USR1 $$; echo on'
    stamp; (echo background) & wait
    stamp; dd if=/bin/busybox of=big bs=4096 count=32 2>/dev/null && sha256sum < big && truncate -s 5 big && wc -c < big
    stamp; i=0; while [ $i -lt 20 ]; do i=$((i + 1)); echo $i; done | (read a; read b; echo "$a $b"; cat | wc -l)
    stamp; seq 1 60 | cat | cat | tac | cat | sort -n | tail -n 2
    stamp; llm run /models/small.gguf -p "ab ba" -n 6 2> figures || cat figures; echo " status $?"
    stamp; chmod 600 f && ls -l f | cut -c 1-10 && test ! -e nothing && echo absent
    stamp; cd / && rm -r /tmp/load && ls /tmp | wc -l
done
