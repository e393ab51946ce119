import { describe, expect, it } from 'vitest';
import { parseSubjectPublicKeyInfo } from './subject-public-key.ts';
import { rsaSpki, seededRandom } from './testing/make-keys.ts';
import { findWeakness } from './weak-rsa-key.ts';

const random = seededRandom(7);

function isProbablePrime(candidate: bigint): boolean {
  for (let prime = 3n; prime < 2000n; prime += 2n) if (candidate % prime === 0n) return false;
  // Fermat's test with one base: enough for numbers that nobody chose to fool it.
  return power(3n, candidate - 1n, candidate) === 1n;
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  let square = base % modulus;
  for (let left = exponent; left > 0n; left >>= 1n) {
    if ((left & 1n) === 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

function nextPrime(from: bigint): bigint {
  let candidate = from | 1n;
  while (!isProbablePrime(candidate)) candidate += 2n;
  return candidate;
}

/** A prime of 1024 bits with its two highest bits set, so that two of them make a modulus of 2048. */
const randomPrime = () => nextPrime(random(1024) | (3n << 1022n));

const p = randomPrime();
const q = randomPrime();

describe('weak RSA moduli', () => {
  it('finds nothing in the product of two random primes', () => {
    expect(findWeakness(p * q)).toBeUndefined();
    expect(parseSubjectPublicKeyInfo(rsaSpki(p * q)).ok).toBe(true);
  });

  it.each([3n, 5n, 17n, 641n, 751n])('finds the small factor %i', (factor) => {
    const cofactor = (1n << 2047n) / factor + random(1024);
    const weak = factor * (cofactor | 1n);
    expect(findWeakness(weak)).toMatch(/small prime/);
    expect(parseSubjectPublicKeyInfo(rsaSpki(weak))).toMatchObject({ reason: 'weak_key' });
  });

  it('finds neighbouring primes, and the square of a prime', () => {
    expect(findWeakness(p * nextPrime(p + 2n))).toMatch(/too close/);
    expect(findWeakness(p * p)).toMatch(/too close/);
  });

  it('finds primes that are further apart, within the rounds that it spends', () => {
    // a = (p + q) / 2 lies about d² / 8√n above √n: for d of 514 bits that is within 100 steps.
    const apart = nextPrime(p + (1n << 514n));
    expect(findWeakness(p * apart)).toMatch(/too close/);
    const far = nextPrime(p + (1n << 530n));
    expect(findWeakness(p * far)).toBeUndefined();
  });

  it('finds the structure of CVE-2017-15361', () => {
    expect(findWeakness(rocaPrime() * rocaPrime())).toMatch(/CVE-2017-15361/);
  });
});

/** A number of the form k·M + (65537^a mod M), M the product of the first 126 primes: 971 bits. */
function rocaPrime(): bigint {
  const primes: bigint[] = [];
  for (let candidate = 2n; primes.length < 126; candidate += 1n) {
    if (primes.every((prime) => candidate % prime !== 0n)) primes.push(candidate);
  }
  const product = primes.reduce((all, prime) => all * prime, 1n);
  const residue = power(65537n, random(250), product);
  const from = (3n << 1022n) / product + random(40);
  // None of the first 126 primes divides such a number; 709 to 751 are looked at beside them.
  for (let k = from; ; k += 1n) {
    const candidate = k * product + residue;
    if (candidate % 2n === 1n && isProbablePrime(candidate)) return candidate;
  }
}
