/* As much of MCUboot's interface as the hooks use, without hardening; for a test on a computer. */
#ifndef STUB_FIH_H
#define STUB_FIH_H
#include <stdint.h>
typedef int fih_int;
typedef uint32_t fih_uint;
#define FIH_SUCCESS 0
#define FIH_FAILURE (-1)
#define FIH_RET(result) return (result)
static inline fih_uint fih_uint_encode(uint32_t value) { return value; }
static inline uint32_t fih_uint_decode(fih_uint value) { return value; }
#endif
