# For sourcing: what is built for this board, and how QEMU is this board.
programs=(conformance chat)
# KiB that each of them may have: code and constants, and static memory.
flash=244
ram=36
package=qemu-system-arm
qemu=(qemu-system-arm -M mps2-an386)

# Its serial line is the connection. Where that ends, QEMU makes another one.
to_server() { # HOST PORT
    qemu+=(-chardev "socket,id=line,host=$1,port=$2,reconnect=1" -serial chardev:line)
}
