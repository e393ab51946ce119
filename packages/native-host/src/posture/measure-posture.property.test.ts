import fc from 'fast-check';
import { expect, it } from 'vitest';
import { measurePosture } from './measure-posture.ts';
import type { PostureProbe } from './posture-probe.ts';

/** Words that the parsers look for, and others. */
const words = fc.constantFrom(
  ...['/', ' - ', '253:0', '0:31', 'btrfs', '/dev/dm-0', 'CRYPT-LUKS2-a-b', 'LVM-x', '\\040', '\n'],
  ...[
    'LoadState=loaded',
    'ActiveState=active',
    'ENABLED=yes',
    'hook input',
    'policy drop;',
    '\n\n',
  ],
  ...[
    'gnome-shell',
    'plasmashell',
    'Uid:\t1000',
    'true',
    'false',
    'uint32 300',
    '[Daemon]',
    '[$i]',
  ],
  ...['FileVault is On.', '(State = 1)', 'screenLock is off', 'REG_DWORD', '0x1', '1', ''],
);
const text = fc.oneof(
  fc.array(words, { maxLength: 12 }).map((parts) => parts.join('')),
  fc.array(words, { maxLength: 12 }).map((parts) => parts.join(' ')),
  fc.string({ maxLength: 200 }),
);
const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined });
const answer = maybe(fc.record({ exitCode: fc.constantFrom(0, 1, 5), output: text, errors: text }));
const names = maybe(fc.array(fc.constantFrom('1', '1200', 'dm-0', 'sda1', 'x'), { maxLength: 4 }));

it('makes of whatever a machine says nothing but booleans, and comes to an end', async () => {
  let known = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom<NodeJS.Platform>('linux', 'darwin', 'win32', 'aix'),
      fc.infiniteStream(maybe(text)),
      fc.infiniteStream(names),
      fc.infiniteStream(answer),
      async (platform, texts, folders, answers) => {
        const probe: PostureProbe = {
          platform,
          homeDirectory: '/people/ada',
          userId: 1000,
          readText: () => texts.next().value,
          listFolder: () => folders.next().value,
          realPath: () => texts.next().value,
          run: async () => answers.next().value,
        };
        const measured = await measurePosture(probe);
        for (const value of Object.values(measured)) {
          expect(typeof value).toBe('boolean');
          known += 1;
        }
      },
    ),
    { seed: 20_261_122, numRuns: 2000 },
  );
  expect(known).toBeGreaterThan(30);
});
