import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { failOpenFile } from './fail-open-file.ts';

test('keeps the newest text for this user alone, and says when it cannot', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-sample-'));
  try {
    const path = join(folder, 'state.json');
    const store = failOpenFile(path);
    expect(await store.load()).toBeUndefined();
    await store.save('one');
    await store.save('two');
    expect(await failOpenFile(path).load()).toBe('two');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await expect(failOpenFile(join(folder, 'none', 'x')).save('three')).rejects.toThrow('ENOENT');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
