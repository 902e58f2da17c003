# hexdump, od, xxd, strings, base64, cksum.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
printf 'Hello, world!\n\000\001\377' >data
hexdump data
hexdump -C data
od -An -tx1 data
od -c data
xxd data
xxd -r -p <<END
53796e4f530a
END
printf 'ab\0longer text\0x\377\n' | strings
base64 data; base64 data | base64 -d | cmp - data && echo same
hexdump -n 4 -s 7 -C data
hexdump -e '4/1 "%02x" "\n"' data
head -c 64 /dev/zero | hexdump
printf abc | crc32 2>/dev/null || true
printf abc | md5sum; printf abc | sha1sum; printf abc | sha512sum | cut -c1-32
