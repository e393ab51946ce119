import { describe, expect, test } from 'vitest';
import { ExpiringMap } from './expiring-map.ts';

describe('ExpiringMap', () => {
  test('forgets after its time', () => {
    const map = new ExpiringMap<string>({ ttlMs: 1000, maxEntries: 10 });
    map.set('a', 'first', 5000);
    expect(map.get('a', 5999)).toBe('first');
    expect(map.get('a', 6000)).toBeUndefined();
    expect(map.take('a', 6000)).toBeUndefined();
  });

  test('gives a value away once', () => {
    const map = new ExpiringMap<string>({ ttlMs: 1000, maxEntries: 10 });
    map.set('a', 'first', 0);
    expect(map.take('a', 1)).toBe('first');
    expect(map.take('a', 1)).toBeUndefined();
    expect(map.get('a', 1)).toBeUndefined();
  });

  test('never grows beyond its bound, and the oldest makes room', () => {
    const map = new ExpiringMap<number>({ ttlMs: 1000, maxEntries: 3 });
    for (let index = 0; index < 100; index++) map.set(`key-${index}`, index, index);
    expect(map.size).toBe(3);
    expect(map.get('key-96', 100)).toBeUndefined();
    expect(map.get('key-97', 100)).toBe(97);
    map.set('key-97', -1, 100);
    expect(map.size).toBe(3);
    map.set('new', 0, 100);
    expect(map.get('key-98', 100)).toBeUndefined();
    expect(map.get('key-97', 100)).toBe(-1);
  });

  test('drops what has expired as soon as something new comes', () => {
    const map = new ExpiringMap<number>({ ttlMs: 1000, maxEntries: 3 });
    map.set('a', 1, 0);
    map.set('b', 2, 0);
    map.set('c', 3, 1000);
    expect(map.size).toBe(1);
  });
});
