    .syntax unified
    .cpu cortex-m4
    .thumb
    .section .vectors,"a"
    .word 0x20010000
    .word reset + 1
    .rept 14
    .word 0
    .endr
    .text
    .thumb_func
    .global reset
reset:
    ldr r0, =counter
    ldr r1, [r0]
    adds r1, #1
    str r1, [r0]
    b reset
    .section .rodata,"a"
    .asciz "a program of five instructions"
    .balign 16
    .asciz "odd"
    .data
counter: .word 0x11223344
    .word 0x55667788
    .bss
    .space 64
    .section .noinit,"aw",%nobits
    .space 32
    .section .uicr,"a"
    .word 0x12345678
