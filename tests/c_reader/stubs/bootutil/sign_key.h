/* As much of MCUboot's interface as the hooks use; for a test on a computer. */
#ifndef STUB_SIGN_KEY_H
#define STUB_SIGN_KEY_H
#include <stddef.h>
#include <stdint.h>
int boot_retrieve_public_key_hash(uint8_t image_index, uint8_t *public_key_hash, size_t *key_hash_size);
#endif
