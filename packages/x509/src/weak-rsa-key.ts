/**
 * Cheap tests for RSA moduli that are known to be factored in practice. They find the mistakes that
 * were met in the field, not every weak key: no list of Debian's 2008 keys, no batch GCD.
 */

const smallestLargePrime = 752;
const fermatRounds = 100;
const fermatFilterModulus = 45_045;

/** What is wrong with an odd modulus of at least 2048 bits, or undefined when nothing was found. */
export function findWeakness(modulus: bigint): string | undefined {
  if (hasSmallFactor(modulus)) return 'a small prime divides the modulus';
  if (hasRocaFingerprint(modulus)) return 'the modulus has the structure of CVE-2017-15361';
  if (hasCloseFactors(modulus)) return 'the factors of the modulus are too close to each other';
  return undefined;
}

function primesBelow(limit: number): number[] {
  const primes: number[] = [];
  for (let candidate = 2; candidate < limit; candidate++) {
    if (primes.every((prime) => candidate % prime !== 0)) primes.push(candidate);
  }
  return primes;
}

let smallPrimes: { readonly primes: readonly number[]; readonly product: bigint } | undefined;

function hasSmallFactor(modulus: bigint): boolean {
  if (smallPrimes === undefined) {
    const primes = primesBelow(smallestLargePrime);
    smallPrimes = { primes, product: primes.reduce((all, prime) => all * BigInt(prime), 1n) };
  }
  // One long division first; the many short ones then work on a number of half the length.
  const remainder = modulus % smallPrimes.product;
  return smallPrimes.primes.some((prime) => remainder % BigInt(prime) === 0n);
}

let rocaResidues: readonly { readonly prime: bigint; readonly powers: ReadonlySet<bigint> }[] = [];

/**
 * Keys of the ROCA family have primes of the form k·M + (65537^a mod M), M a product of small
 * primes, so that the modulus is a power of 65537 modulo every one of them. Only those primes tell
 * anything modulo which the powers of 65537 do not reach every residue (Nemec et al., CCS 2017).
 */
function hasRocaFingerprint(modulus: bigint): boolean {
  if (rocaResidues.length === 0) {
    rocaResidues = primesBelow(168)
      .filter((prime) => prime > 2)
      .map((prime) => ({ prime: BigInt(prime), powers: powersOf65537(BigInt(prime)) }))
      .filter(({ prime, powers }) => BigInt(powers.size) < prime - 1n);
  }
  return rocaResidues.every(({ prime, powers }) => powers.has(modulus % prime));
}

function powersOf65537(prime: bigint): Set<bigint> {
  const powers = new Set<bigint>();
  for (let power = 1n; !powers.has(power); power = (power * 65537n) % prime) powers.add(power);
  return powers;
}

/** Fermat's method: n = a² − b² with a near √n is found at once when the factors are close. */
function hasCloseFactors(modulus: bigint): boolean {
  let root = squareRootOf(modulus);
  if (root * root < modulus) root += 1n;
  let difference = root * root - modulus;
  for (let round = 0; round < fermatRounds; round++) {
    if (isSquare(difference)) return true;
    difference += 2n * root + 1n;
    root += 1n;
  }
  return false;
}

let squareResidues: Uint8Array | undefined;

function isSquare(value: bigint): boolean {
  if (squareResidues === undefined) {
    squareResidues = new Uint8Array(fermatFilterModulus);
    for (let i = 0; i < fermatFilterModulus; i++) squareResidues[(i * i) % fermatFilterModulus] = 1;
  }
  // 45045 = 3²·5·7·11·13: one residue in twenty-two is a square, so most roots are never taken.
  if (squareResidues[Number(value % BigInt(fermatFilterModulus))] === 0) return false;
  const root = squareRootOf(value);
  return root * root === value;
}

/** Floor of the square root, by Newton's method from above. */
function squareRootOf(value: bigint): bigint {
  if (value < 2n) return value;
  let estimate = 1n << BigInt((value.toString(16).length * 4 + 1) >> 1);
  for (;;) {
    const next = (estimate + value / estimate) >> 1n;
    if (next >= estimate) return estimate;
    estimate = next;
  }
}
