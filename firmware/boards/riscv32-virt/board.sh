# For sourcing: what is built for this board, and how QEMU is this board.
programs=(conformance)
# KiB that each of them may have: code and constants, and static memory.
flash=232
ram=28
package=qemu-system-misc
qemu=(qemu-system-riscv32 -M virt -bios none -serial none)
