/*
 * Stands where MCUboot stands: takes the first kilobyte of UICR on standard input, calls the hooks, and prints what they
 * say. With a number as argument it raises the counter to it, then reads again.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static volatile uint32_t customer[32];
static unsigned writes;

/* One to zero only, as flash. */
static void rootstamp_write(uint32_t word, uint32_t content)
{
    customer[word] &= content;
    writes++;
}

#define ROOTSTAMP_CUSTOMER ((const volatile uint32_t *)customer)
#define ROOTSTAMP_WITH_MCUBOOT
#include "rootstamp_mcuboot_hooks.c"

int main(int count, char **arguments)
{
    uint8_t uicr[1024];
    uint8_t hash[32];
    size_t size = sizeof(hash);
    fih_uint counter = 0;

    if (fread(uicr, 1, sizeof(uicr), stdin) != sizeof(uicr)) {
        puts("short");
        return 2;
    }
    for (unsigned word = 0; word < 32; word++) {
        const uint8_t *bytes = uicr + 0x80 + word * 4;

        customer[word] = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    }
    if (count > 1) {
        const int32_t raised = boot_nv_security_counter_update(0, (uint32_t)strtoul(arguments[1], NULL, 10), NULL);

        printf("raised %d with %u writes\n", (int)raised, writes);
    }
    if (boot_retrieve_public_key_hash(0, hash, &size) != 0) {
        puts("hash refused");
    } else {
        printf("hash ");
        for (size_t byte = 0; byte < size; byte++) {
            printf("%02x", hash[byte]);
        }
        puts("");
    }
    if (boot_nv_security_counter_init() != FIH_SUCCESS || boot_nv_security_counter_get(0, &counter) != FIH_SUCCESS) {
        puts("counter refused");
    } else {
        printf("counter %u\n", (unsigned)counter);
    }
    size = 31;
    if (boot_retrieve_public_key_hash(0, hash, &size) == 0 || boot_nv_security_counter_get(1, &counter) == FIH_SUCCESS) {
        puts("a second image or a short buffer was served");
    }
    return 0;
}
