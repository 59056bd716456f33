/*
 * What rootstamp stamps into an nRF52 board, as MCUboot reads it: key hash and rollback counter in UICR.CUSTOMER.
 *
 * The functions here look at 32 words and at nothing else, so they run on a computer too: rootstamp's tests compile
 * this file and let it read what the station wrote. The hooks that MCUboot calls stand at the end of the .c file.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef ROOTSTAMP_MCUBOOT_HOOKS_H
#define ROOTSTAMP_MCUBOOT_HOOKS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Words of UICR.CUSTOMER. [nRF52840 PS, UICR.CUSTOMER[0..31] at 0x10001080] */
#define ROOTSTAMP_CUSTOMER_WORDS 32u

/* The recipe's [stamp.key_hash] at, [stamp.counter] at and slots. Change them here and there together. */
#ifndef ROOTSTAMP_KEY_HASH_WORD
#define ROOTSTAMP_KEY_HASH_WORD 0u
#endif
#ifndef ROOTSTAMP_COUNTER_WORD
#define ROOTSTAMP_COUNTER_WORD 8u
#endif
#ifndef ROOTSTAMP_COUNTER_SLOTS
#define ROOTSTAMP_COUNTER_SLOTS 16u
#endif

#define ROOTSTAMP_KEY_HASH_WORDS 8u
#define ROOTSTAMP_KEY_HASH_BYTES 32u

#define ROOTSTAMP_OK 0
/* Nothing was stamped here. */
#define ROOTSTAMP_ERASED 1
/* Something was stamped, and not all of it, or other than a station or this file writes. */
#define ROOTSTAMP_TORN 2
/* Every slot of the counter is used: no later security update can be taken. */
#define ROOTSTAMP_FULL 3
/* The counter does not count down. */
#define ROOTSTAMP_BACKWARDS 4

/*
 * SHA-256 of the SubjectPublicKeyInfo, from eight little-endian words.
 *
 * A word of all ones is one that was never written. A hash that really holds such a word (one key in 500 million) is
 * refused too: make another key.
 */
int rootstamp_key_hash(const volatile uint32_t *customer, uint8_t hash[ROOTSTAMP_KEY_HASH_BYTES]);

/*
 * The security counter: the highest value before the first empty slot, 0 if there is none.
 *
 * A slot holds the value with every bit turned over, so bits only clear and each word is written once. An update that
 * lost power leaves a word with too few bits cleared, which reads as a smaller value; the highest value counts, so
 * that the counter never falls and the board still boots. A used slot behind an empty one is refused: neither the
 * station nor an update leaves that.
 */
int rootstamp_counter(const volatile uint32_t *customer, uint32_t *value);

/*
 * Which word of UICR.CUSTOMER to write, and what, to raise the counter to `value`. Writes nothing itself.
 * `*word` is ROOTSTAMP_CUSTOMER_WORDS if the counter has this value already.
 */
int rootstamp_counter_raise(const volatile uint32_t *customer, uint32_t value, uint32_t *word, uint32_t *content);

#ifdef __cplusplus
}
#endif

#endif
