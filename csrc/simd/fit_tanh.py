"""Fit the coefficients of tanh in simd/math.h; prints its structs TanhFit.

With y = x^2, n = x P(y) and d = Q(y) such that n / d ~ tanh(x/2), the double-angle formula needs one divide:

    tanh(x) = n (d + d) / (n n + d d)

Why the half angle: a relative error e of n / d becomes an error e / cosh(x) of tanh(x). So the rounding errors of P
and Q vanish where tanh saturates, n / d may be cosh(x) times less accurate, and degrees 2/3 (float32) and 5/6
(float64) suffice. x P / Q fitted to tanh itself needs 5/4 and 9/9 and has 1.6 and 2.3 times the error.

Fitted: n / d against tanh(x/2) on 0 <= x <= end, minimising max |(n / d) / tanh(x/2) - 1| / cosh(x).
Method: rational Remez exchange in 60 digits, P(0) = 1 and Q(0) = 2 held fixed so that tanh(x) = x exactly for
tiny x; the coefficients are then rounded to the dtype. The end of the float32 fit is one whose rounded
coefficients give exactly 1 at the clamp. The clamp lies just above the x from which tanh itself rounds to 1
(13 ln 2 and 27.5 ln 2).

Run: python csrc/simd/fit_tanh.py
"""

from __future__ import annotations

from mpmath import cos, cosh, linspace, lu_solve, matrix, mp, mpf, pi, polyval, sqrt, tanh

mp.dps = 60
# dtype: significand bits, degree of P, degree of Q, end of the fit, clamp of |x|, `tiny` of the header
FITS = {
    "float": (24, 2, 3, "9.2", "9.015625", mpf(2) ** -100),
    "double": (53, 5, 6, "19.0625", "19.0625", mpf(2) ** -900),
}


def target(y: mpf) -> mpf:
    """2 tanh(x/2) / x, which P/Q (with P(0) = Q(0) = 1) approximates."""
    x = sqrt(y)
    return 2 * tanh(x / 2) / x


def solve(ref: list[mpf], m: int, n: int) -> tuple[list[mpf], list[mpf], mpf]:
    """P, Q and the levelled error E with P/Q = target (1 +- E cosh(x)) at the m + n + 1 points of ref."""
    size = m + n + 1
    error, q_at = mpf(0), [mpf(1)] * size
    # The product E Q is what makes the system nonlinear: linearise it around the last E and Q.
    for _ in range(12):
        a, b = matrix(size, size), matrix(size, 1)
        for i, y in enumerate(ref):
            f, s = target(y), (-1) ** i * cosh(sqrt(y))
            level = f * (1 + s * error)
            row = [y**j for j in range(1, m + 1)] + [-level * y**j for j in range(1, n + 1)]
            row.append(-s * f * q_at[i])
            for j, v in enumerate(row):
                a[i, j] = v
            b[i] = level - 1
        sol = list(lu_solve(a, b))
        p, q = [mpf(1), *sol[:m]], [mpf(1), *sol[m:-1]]
        q_at = [polyval(q[::-1], y) for y in ref]
        error += sol[-1]
    return p, q, error


def remez(m: int, n: int, end: mpf) -> tuple[list[mpf], list[mpf], mpf]:
    """P and Q, lowest power first, and the largest weighted error."""
    points = 600
    grid = [(end * (1 - cos(pi * (i + 0.5) / points)) / 2) ** 2 for i in range(points)] + [end**2]
    ref = [(end * (1 - cos(pi * (i + mpf("0.6")) / (m + n + mpf("0.6")))) / 2) ** 2 for i in range(m + n + 1)]
    for _ in range(12):
        p, q, error = solve(ref, m, n)
        peaks: list[tuple[mpf, mpf]] = []  # the largest error of each run of one sign
        for y in grid:
            e = (polyval(p[::-1], y) / polyval(q[::-1], y) / target(y) - 1) / cosh(sqrt(y))
            if not peaks or (e > 0) != (peaks[-1][1] > 0):
                peaks.append((y, e))
            elif abs(e) > abs(peaks[-1][1]):
                peaks[-1] = (y, e)
        while len(peaks) > m + n + 1:
            peaks.pop(0 if abs(peaks[0][1]) < abs(peaks[-1][1]) else -1)
        ref = [y for y, _ in peaks]
        largest = max(abs(e) for _, e in peaks)
        if largest < abs(error) * mpf("1.001"):
            return p, q, largest
    raise RuntimeError(f"the exchange for degrees {m}/{n} did not converge in 12 rounds; try another end")


def evaluate(x: mpf, p: list[mpf], q: list[mpf], bits: int, tiny: mpf) -> mpf:
    """tanh(x) for 0 <= x <= clamp, by the header's operations, each rounded to `bits`; a fma is rounded once."""

    def rnd(v: mpf) -> mpf:
        with mp.workprec(bits):
            return +v

    y = rnd(x * x + tiny)
    n, d = p[-1], q[-1]
    for c in p[-2:0:-1]:
        n = rnd(n * y + c)
    for c in q[-2::-1]:
        d = rnd(d * y + c)
    n = rnd(x * rnd(y * n) + x)
    return min(rnd(rnd(n * (d + d)) / rnd(n * n + rnd(d * d))), mpf(1))


def main() -> None:
    for ctype, (bits, m, n, end, clamp, tiny) in FITS.items():
        p, q, error = remez(m, n, mpf(end))
        with mp.workprec(bits):
            p, q = [+v for v in p], [2 * v for v in q]
        assert evaluate(mpf(clamp), p, q, bits, tiny) == 1, "tanh must be exactly 1 at the clamp: move the end"
        xs = [mpf(int(x * 2**20)) / 2**20 for x in linspace(0, mpf(clamp), 3000)]  # exact in either dtype
        worst = max(abs(evaluate(x, p, q, bits, tiny) - tanh(x)) for x in xs)
        print(f"// {ctype}: fit {mp.nstr(error, 3)}, 3000 points {mp.nstr(worst, 3)}; index = power of x^2")
        print(f"template <> struct TanhFit<{ctype}> {{")
        print(f"  static constexpr {ctype} clamp = {clamp}{'f' if bits == 24 else ''};")
        for name, values in (("p", p), ("q", q)):
            text = ", ".join(f"{float(v):#.9g}f" if bits == 24 else repr(float(v)) for v in values)
            print(f"  static constexpr {ctype} {name}[] = {{{text}}};")
        print("};")


if __name__ == "__main__":
    main()
