import { describe, expect, test } from 'vitest';
import { findBrowser } from './find-browser.ts';

const machineWith = (...paths: string[]) => {
  const there = new Set(paths);
  return (path: string) => there.has(path);
};

describe('findBrowser', () => {
  test('takes Chromium before Chrome before Edge, wherever they lie in PATH', () => {
    const all = machineWith('/b/chromium', '/a/google-chrome', '/a/microsoft-edge');
    expect(findBrowser('/a:/b', undefined, all)).toEqual({ name: 'Chromium', path: '/b/chromium' });
    const two = machineWith('/a/microsoft-edge', '/opt/google/chrome/chrome');
    expect(findBrowser('/a:/b', undefined, two)).toMatchObject({ name: 'Chrome' });
    expect(findBrowser('/a', undefined, machineWith('/a/microsoft-edge'))).toMatchObject({
      name: 'Edge',
    });
  });

  test('takes the one that was named, or none', () => {
    const all = machineWith('/b/chromium', '/my/browser');
    expect(findBrowser('/b', '/my/browser', all)?.path).toBe('/my/browser');
    expect(findBrowser('/b', 'chromium', all)?.path).toBe('/b/chromium');
    expect(findBrowser('/b', 'firefox', all)).toBeUndefined();
    expect(findBrowser('/b', './chromium', all)).toBeUndefined();
  });

  test('never looks in a folder that depends on where it was started', () => {
    expect(findBrowser('.::bin', undefined, () => true)?.path).toBe(
      '/Applications/Chromium.app/Contents/MacOS/Chromium',
    );
    expect(findBrowser('.::bin', undefined, machineWith('bin/chromium'))).toBeUndefined();
  });
});
