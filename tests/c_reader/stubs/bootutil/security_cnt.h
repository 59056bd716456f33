/* As much of MCUboot's interface as the hooks use; for a test on a computer. */
#ifndef STUB_SECURITY_CNT_H
#define STUB_SECURITY_CNT_H
#include "bootutil/fault_injection_hardening.h"
fih_int boot_nv_security_counter_init(void);
fih_int boot_nv_security_counter_get(uint32_t image_id, fih_uint *security_cnt);
int32_t boot_nv_security_counter_update(uint32_t image_id, fih_uint img_security_cnt, void *custom_data);
#endif
