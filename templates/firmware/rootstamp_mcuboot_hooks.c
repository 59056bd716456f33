/*
 * Gives MCUboot its key hash (MCUBOOT_HW_KEY) and its rollback counter (MCUBOOT_HW_ROLLBACK_PROT) from UICR.CUSTOMER.
 *
 * Build it into MCUboot with ROOTSTAMP_WITH_MCUBOOT defined, and sign images with
 * `imgtool sign --public-key-format full --security-counter N`. Never run on silicon yet: rootstamp's tests run it on
 * a computer, against what the station wrote to a virtual board.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "rootstamp_mcuboot_hooks.h"

#if ROOTSTAMP_KEY_HASH_WORD + ROOTSTAMP_KEY_HASH_WORDS > ROOTSTAMP_CUSTOMER_WORDS
#error "the key hash does not fit into UICR.CUSTOMER"
#endif
#if ROOTSTAMP_COUNTER_WORD + ROOTSTAMP_COUNTER_SLOTS > ROOTSTAMP_CUSTOMER_WORDS
#error "the counter does not fit into UICR.CUSTOMER"
#endif

#define EMPTY 0xFFFFFFFFu

int rootstamp_key_hash(const volatile uint32_t *customer, uint8_t hash[ROOTSTAMP_KEY_HASH_BYTES])
{
    uint32_t written = 0;

    for (uint32_t index = 0; index < ROOTSTAMP_KEY_HASH_WORDS; index++) {
        const uint32_t word = customer[ROOTSTAMP_KEY_HASH_WORD + index];

        written += (word != EMPTY);
        for (uint32_t byte = 0; byte < 4; byte++) {
            hash[index * 4 + byte] = (uint8_t)(word >> (8 * byte));
        }
    }
    if (written == 0) {
        return ROOTSTAMP_ERASED;
    }
    return written == ROOTSTAMP_KEY_HASH_WORDS ? ROOTSTAMP_OK : ROOTSTAMP_TORN;
}

/* Highest value, and the first empty slot; ROOTSTAMP_COUNTER_SLOTS if there is none. */
static int look(const volatile uint32_t *customer, uint32_t *value, uint32_t *empty)
{
    *value = 0;
    *empty = ROOTSTAMP_COUNTER_SLOTS;
    for (uint32_t slot = 0; slot < ROOTSTAMP_COUNTER_SLOTS; slot++) {
        const uint32_t word = customer[ROOTSTAMP_COUNTER_WORD + slot];

        if (word == EMPTY) {
            if (*empty == ROOTSTAMP_COUNTER_SLOTS) {
                *empty = slot;
            }
        } else if (*empty != ROOTSTAMP_COUNTER_SLOTS) {
            return ROOTSTAMP_TORN;
        } else if (~word > *value) {
            *value = ~word;
        }
    }
    return ROOTSTAMP_OK;
}

int rootstamp_counter(const volatile uint32_t *customer, uint32_t *value)
{
    uint32_t empty;

    return look(customer, value, &empty);
}

int rootstamp_counter_raise(const volatile uint32_t *customer, uint32_t value, uint32_t *word, uint32_t *content)
{
    uint32_t now;
    uint32_t empty;
    const int looked = look(customer, &now, &empty);

    *word = ROOTSTAMP_CUSTOMER_WORDS;
    *content = EMPTY;
    if (looked != ROOTSTAMP_OK) {
        return looked;
    }
    if (value < now) {
        return ROOTSTAMP_BACKWARDS;
    }
    if (value == now) {
        return ROOTSTAMP_OK;
    }
    if (empty == ROOTSTAMP_COUNTER_SLOTS) {
        return ROOTSTAMP_FULL;
    }
    *word = ROOTSTAMP_COUNTER_WORD + empty;
    *content = ~value;
    return ROOTSTAMP_OK;
}

#ifdef ROOTSTAMP_WITH_MCUBOOT

#include <stddef.h>

#include "bootutil/fault_injection_hardening.h"
#include "bootutil/security_cnt.h"
#include "bootutil/sign_key.h"

/* Defined from outside where UICR is not at its place, as in rootstamp's tests. */
#ifndef ROOTSTAMP_CUSTOMER

/* [nRF52840 PS, UICR.CUSTOMER[0]] */
#define ROOTSTAMP_CUSTOMER ((const volatile uint32_t *)0x10001080u)

/* [nRF52840 PS, NVMC: READY 0x400, CONFIG 0x504 with WEN 0 = read, 1 = write] */
#define NVMC_READY (*(const volatile uint32_t *)0x4001E400u)
#define NVMC_CONFIG (*(volatile uint32_t *)0x4001E504u)

static void rootstamp_write(uint32_t word, uint32_t content)
{
    volatile uint32_t *const customer = (volatile uint32_t *)0x10001080u; /* [nRF52840 PS, UICR.CUSTOMER[0]] */

    NVMC_CONFIG = 1;
    while (NVMC_READY == 0) {
    }
    customer[word] = content;
    while (NVMC_READY == 0) {
    }
    NVMC_CONFIG = 0;
    while (NVMC_READY == 0) {
    }
}

#endif

int boot_retrieve_public_key_hash(uint8_t image_index, uint8_t *public_key_hash, size_t *key_hash_size)
{
    if (image_index != 0 || *key_hash_size < ROOTSTAMP_KEY_HASH_BYTES) {
        return -1;
    }
    *key_hash_size = ROOTSTAMP_KEY_HASH_BYTES;
    return rootstamp_key_hash(ROOTSTAMP_CUSTOMER, public_key_hash);
}

fih_int boot_nv_security_counter_init(void)
{
    uint32_t value;

    if (rootstamp_counter(ROOTSTAMP_CUSTOMER, &value) != ROOTSTAMP_OK) {
        FIH_RET(FIH_FAILURE);
    }
    FIH_RET(FIH_SUCCESS);
}

fih_int boot_nv_security_counter_get(uint32_t image_id, fih_uint *security_cnt)
{
    uint32_t value;

    if (image_id != 0 || rootstamp_counter(ROOTSTAMP_CUSTOMER, &value) != ROOTSTAMP_OK) {
        FIH_RET(FIH_FAILURE);
    }
    *security_cnt = fih_uint_encode(value);
    FIH_RET(FIH_SUCCESS);
}

int32_t boot_nv_security_counter_update(uint32_t image_id, fih_uint img_security_cnt, void *custom_data)
{
    uint32_t word;
    uint32_t content;

    (void)custom_data;
    if (image_id != 0) {
        return -1;
    }
    const int raised = rootstamp_counter_raise(ROOTSTAMP_CUSTOMER, fih_uint_decode(img_security_cnt), &word, &content);

    if (raised != ROOTSTAMP_OK) {
        return raised;
    }
    if (word < ROOTSTAMP_CUSTOMER_WORDS) {
        rootstamp_write(word, content);
        return ROOTSTAMP_CUSTOMER[word] == content ? 0 : ROOTSTAMP_TORN;
    }
    return 0;
}

#endif
