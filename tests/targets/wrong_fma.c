/* Wrong fused multiply-adds, linked into the programs that compare bits: if any code called the C library's, its
   bits would differ. */
#ifdef __cplusplus
extern "C" {
#endif
float fmaf(float x, float y, float z);
double fma(double x, double y, double z);
float fmaf(float x, float y, float z) { return x - y - z; }
#ifndef __wasm__ /* there printf links the C library's fma: two definitions would clash */
double fma(double x, double y, double z) { return x - y - z; }
#endif
#ifdef __cplusplus
}
#endif
