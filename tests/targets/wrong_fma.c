/* Linked into programs that compare bits, so that a call of the C library's fused multiply-add gives a wrong number. */
#ifdef __cplusplus
extern "C" {
#endif
float fmaf(float x, float y, float z);
double fma(double x, double y, double z);
float fmaf(float x, float y, float z) { return x - y - z; }
#ifndef __wasm__ /* its printf brings a function of that name */
double fma(double x, double y, double z) { return x - y - z; }
#endif
#ifdef __cplusplus
}
#endif
