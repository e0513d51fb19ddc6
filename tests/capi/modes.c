/* A caller whose thread rounds down or treats subnormals as zeros gets the same bits, and finds its own mode
 * afterwards. Exception flags stay raised, those of the caller and those that the library raised. */
#include "check.h"

#include <fenv.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
enum { ZERO_OPERANDS = 0x0040, ZERO_RESULTS = 0x8000 };
static const unsigned modes[] = {0, ZERO_OPERANDS, ZERO_RESULTS, ZERO_OPERANDS | ZERO_RESULTS};
static void enter(unsigned mode) { _mm_setcsr(0x1f80 | mode); }
static unsigned flushing(void) { return _mm_getcsr() & (ZERO_OPERANDS | ZERO_RESULTS); }
#else
static const unsigned modes[] = {0};
static void enter(unsigned mode) { (void)mode; }
static unsigned flushing(void) { return 0; }
#endif

enum { T = 20 };

int main(int count, char** arguments) {
  const int rounding[] = {FE_TONEAREST, FE_DOWNWARD};
  pyrnn_model* model = loaded(arguments[count - 1]);
  pyrnn_stream* stream = started(model, 1);
  const size_t I = pyrnn_model_input_size(model), O = pyrnn_model_output_size(model);
  float *x = numbers(T * I, 3), *y = numbers(T * O, 4), *expected = numbers(T * O, 5);
  size_t t, i, mode;
  for (i = 0; i < T / 2 * I; ++i) x[i] *= 1e-39f; /* subnormal, as are the sums of a Linear layer */
  CHECK(pyrnn_stream_run(stream, x, T, expected) == PYRNN_OK);
  for (mode = 0; mode < sizeof modes / sizeof *modes; ++mode)
    for (i = 0; i < 2; ++i) {
      enter(modes[mode]);
      CHECK(fesetround(rounding[i]) == 0);
      CHECK(feclearexcept(FE_ALL_EXCEPT) == 0 && feraiseexcept(FE_DIVBYZERO) == 0);
      CHECK(pyrnn_stream_reset(stream, NULL) == PYRNN_OK);
      for (t = 0; t < T; ++t) CHECK(pyrnn_stream_step(stream, x + t * I, y + t * O) == PYRNN_OK);
      CHECK(fegetround() == rounding[i] && flushing() == modes[mode]);
      CHECK(fetestexcept(FE_DIVBYZERO | FE_INEXACT | FE_OVERFLOW) == (FE_DIVBYZERO | FE_INEXACT));
      enter(0);
      CHECK(fesetround(FE_TONEAREST) == 0);
      CHECK(same(y, expected, T * O));
    }
  pyrnn_stream_free(stream);
  pyrnn_model_free(model);
  free(x);
  free(y);
  free(expected);
  return 0;
}
