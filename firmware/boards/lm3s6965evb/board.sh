# For sourcing: what is built for this board, and how QEMU is this board.
programs=(conformance chat embassy)
# KiB that each of them may have: code and constants, and static memory. The stack gets the rest of
# 64, which has to be 16 at least.
flash=200
ram=44
package=qemu-system-arm
# It says "Timer with period zero, disabling" at each start, even with `-S` and no program: its own
# watchdog has no clock yet.
qemu=(qemu-system-arm -M lm3s6965evb -serial none)

# It is in a network of QEMU's, where 10.0.2.2 is this host.
to_server() { # HOST PORT
    qemu+=(-nic user,model=stellaris)
    words+=("server=${1/#127.*/10.0.2.2}:$2")
}
