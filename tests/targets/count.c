/* Counts the instructions of a step with the timer of the MPS2 boards: it runs at 25 MHz, so under `-icount shift=0`
   a tick is 40 instructions. */
#include <stdio.h>

#include "vad.h"

enum { steps = 1000, per_tick = 40 };

#ifdef VAD_INPUT_BITS
typedef int16_t value;
enum { loudness = 65535 };
#else
typedef float value;
enum { loudness = 1 };
#endif

static vad_state state;
static value x[VAD_INPUTS], y[VAD_OUTPUTS];

int main(void) {
  volatile uint32_t* const timer = (volatile uint32_t*)0x40000000u; /* control, value, reload */
  uint32_t start;
  int i;
  for (i = 0; i < VAD_INPUTS; ++i) x[i] = (value)(((float)i / VAD_INPUTS - 0.5f) * loudness);
  vad_reset(&state);
  timer[2] = timer[1] = 0xFFFFFFFFu;
  timer[0] = 1;
  start = timer[1];
  for (i = 0; i < steps; ++i) vad_step(&state, x, y);
  printf("%lu\n", (unsigned long)((start - timer[1]) / (steps / per_tick)));
  return 0;
}
