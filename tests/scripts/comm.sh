# A script's name is its own, not its interpreter's.
cat > /tmp/named <<'EOF'
#!/bin/sh
cat /proc/$$/comm
tr '\0' ' ' < /proc/$$/cmdline; echo
readlink /proc/$$/exe
EOF
chmod 755 /tmp/named
/tmp/named one two
(exec /tmp/named)
sh /tmp/named
cd /tmp && ./named
ln -s named other && ./other
sh -c 'cat /proc/$$/comm; true'
printf '#!/tmp/named with space\n' > nested; chmod 755 nested; ./nested x
rm /tmp/named /tmp/other /tmp/nested
