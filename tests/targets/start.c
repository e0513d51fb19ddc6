/* Starts a Cortex-M from reset and jumps to newlib's _start, which talks to the host by semihosting. */
#include <stdint.h>

extern uint32_t stack_top;
void _start(void);

static void reset(void) {
#ifdef __ARM_FP
  *(volatile uint32_t*)0xE000ED88u |= 0xFu << 20; /* CPACR: the FPU is off at reset */
  __asm__ volatile("dsb\n isb");
#endif
  _start();
}

/* newlib calls these around the constructors. */
void _init(void);
void _fini(void);
void _init(void) {}
void _fini(void) {}

static void fault(void) {
  for (;;) {}
}

__attribute__((section(".vectors"), used)) static const void* const vectors[16] = {
    &stack_top,         (const void*)reset, (const void*)fault, (const void*)fault,
    (const void*)fault, (const void*)fault, (const void*)fault,
};
