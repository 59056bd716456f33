@ The RAM loader of rootstamp for the NVMC of nRF52.
@
@ Called on a halted core, interrupts masked through DHCSR.C_MASKINTS, with
@   r0  flash address of the first word        r3  0x4001E000, NVMC
@   r1  RAM address of the first word          r4  0x40010000, WDT
@   r2  number of words, at least 1            r5  0x6E524635, what reloads a watchdog
@ and NVMC.CONFIG = Wen. Words that are all ones are left alone: after ERASEALL they are already there, and a write
@ would spend one of the few a word may get. It feeds every reload register of a watchdog that old firmware may have
@ left running; the registers ignore it where none runs. It stops at the BKPT with r2 = 0. The branch behind the BKPT
@ is where the core is parked, spinning, before the reset that follows the lock words.
@
@ scripts/ram-loader assembles this and compares it with the bytes in nrf52_loader.rs.
        .syntax unified
        .cpu cortex-m4
        .thumb
next:   ldr     r6, [r1]
        adds    r1, #4
        adds    r7, r6, #1
        beq     step
        str     r6, [r0]
busy:   str.w   r5, [r4, #0x600]
        str.w   r5, [r4, #0x604]
        str.w   r5, [r4, #0x608]
        str.w   r5, [r4, #0x60c]
        str.w   r5, [r4, #0x610]
        str.w   r5, [r4, #0x614]
        str.w   r5, [r4, #0x618]
        str.w   r5, [r4, #0x61c]
        ldr.w   r7, [r3, #0x400]
        lsls    r7, r7, #31
        beq     busy
step:   adds    r0, #4
        subs    r2, #1
        bne     next
        bkpt    #0
park:   b       park
