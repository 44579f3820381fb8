/**
 * Exact fractions, because Python compares the schedule's times and weights exactly, too.
 *
 * A fraction is a frozen {n, d} of BigInts in lowest terms with d > 0.
 */

/** n / d in lowest terms. */
export function fraction(n, d = 1n) {
  const divisor = gcd(n < 0n ? -n : n, d);
  return Object.freeze({ n: n / divisor, d: d / divisor });
}

/** The fraction of a decimal such as "12.5", ".5" or "-3"; a decimal comma works too. */
export function parseDecimal(text) {
  const [, sign, whole, part = ""] = /^([-+]?)(\d*)(?:[.,](\d+))?$/.exec(text);
  const size = BigInt(`0${whole}${part}`);
  return fraction(sign === "-" ? -size : size, 10n ** BigInt(part.length));
}

/** The fraction nearest to a positive double among those with a denominator up to a million. */
export function nearestFraction(value, limit = 1000000n) {
  const exact = ofDouble(value);
  if (exact.d <= limit) return exact;
  let [n0, d0, n1, d1] = [0n, 1n, 1n, 0n];
  let [n, d] = [exact.n, exact.d];
  for (;;) {
    const whole = n / d;
    if (d0 + whole * d1 > limit) break;
    [n0, d0, n1, d1] = [n1, d1, n0 + whole * n1, d0 + whole * d1];
    [n, d] = [d, n - whole * d];
  }
  const steps = (limit - d0) / d1;
  const [other, convergent] = [fraction(n0 + steps * n1, d0 + steps * d1), fraction(n1, d1)];
  const far = compare(distance(convergent, exact), distance(other, exact)) > 0;
  return far ? other : convergent;
}

export const add = (a, b) => fraction(a.n * b.d + b.n * a.d, a.d * b.d);
export const times = (a, whole) => fraction(a.n * BigInt(whole), a.d);
export const compare = (a, b) => Number(a.n * b.d > b.n * a.d) - Number(a.n * b.d < b.n * a.d);
export const toNumber = (a) => Number(a.n) / Number(a.d);
/** The largest integer not above a non-negative fraction. */
export const floor = (a) => Number(a.n / a.d);
/** The smallest integer not below a non-negative fraction. */
export const ceil = (a) => Number((a.n + a.d - 1n) / a.d);

/** A finite decimal, as short as possible. */
export function decimal(a) {
  let places = 0;
  while ((a.n * 10n ** BigInt(places)) % a.d) places += 1;
  const digits = String((a.n * 10n ** BigInt(places)) / a.d).padStart(places + 1, "0");
  return places ? `${digits.slice(0, -places)}.${digits.slice(-places)}` : digits;
}

function ofDouble(value) {
  let d = 1n;
  while (!Number.isInteger(value)) {
    value *= 2;
    d *= 2n;
  }
  return fraction(BigInt(value), d);
}

function distance(a, b) {
  const gap = fraction(a.n * b.d - b.n * a.d, a.d * b.d);
  return gap.n < 0n ? fraction(-gap.n, gap.d) : gap;
}

function gcd(a, b) {
  while (b) [a, b] = [b, a % b];
  return a || 1n;
}
