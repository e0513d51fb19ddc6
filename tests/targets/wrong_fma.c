/* Linked into the programs that compare bits: whoever calls the C library's fused multiply-add gets another number. */
#ifdef __cplusplus
extern "C" {
#endif
float fmaf(float x, float y, float z);
double fma(double x, double y, double z);
float fmaf(float x, float y, float z) { return x - y - z; }
#ifndef __wasm__ /* whose printf brings its own */
double fma(double x, double y, double z) { return x - y - z; }
#endif
#ifdef __cplusplus
}
#endif
