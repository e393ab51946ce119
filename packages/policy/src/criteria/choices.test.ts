import { describe, expect, it } from 'vitest';
import { goodFacts } from '../testing/facts.ts';
import { choice } from './choices.ts';

const clientType = choice('client_types');
const platform = choice('platforms');
const channel = choice('channels');
const keyProtection = choice('key_protections');
const enrollmentStrength = choice('enrollment_strengths');

describe('conditions that are lists', () => {
  it('are met by what is in them', () => {
    expect(clientType.check(['legacy', 'web_or_modern'], goodFacts, [])).toBe('met');
    expect(platform.check(['windows', 'macos'], goodFacts, [])).toBe('met');
    expect(channel.check(['extension'], goodFacts, [])).toBe('met');
    expect(keyProtection.check(['tpm', 'hardware'], goodFacts, [])).toBe('met');
    expect(enrollmentStrength.check(['one_time_token'], goodFacts, [])).toBe('met');
  });

  it('are not met by anything else', () => {
    expect(clientType.check(['legacy'], goodFacts, [])).toBe('not_met');
    expect(platform.check(['other_desktop', 'ios'], goodFacts, [])).toBe('not_met');
    expect(channel.check(['mtls', 'both'], goodFacts, [])).toBe('not_met');
    expect(keyProtection.check(['file'], goodFacts, [])).toBe('not_met');
    expect(enrollmentStrength.check(['organization_secret'], goodFacts, [])).toBe('not_met');
  });

  it('are not met where there is no evidence, which is known', () => {
    const none = {
      ...goodFacts,
      channel: 'none',
      keyProtection: 'none',
      enrollmentStrength: 'none',
    } as const;
    expect(channel.check(['extension', 'mtls', 'both'], none, [])).toBe('not_met');
    expect(keyProtection.check(['file'], none, [])).toBe('not_met');
    expect(enrollmentStrength.check(['organization_secret'], none, [])).toBe('not_met');
    expect(channel.seen(none, [], ['both'])).toBe('none');
  });

  it('count nothing of a device that is not trusted', () => {
    const revoked = {
      ...goodFacts,
      deviceTrust: { trusted: false, reason: 'certificate_revoked' },
    } as const;
    expect(channel.check(['extension'], revoked, [])).toBe('not_met');
    expect(keyProtection.check(['hardware'], revoked, [])).toBe('not_met');
    expect(enrollmentStrength.check(['one_time_token'], revoked, [])).toBe('not_met');
    expect(platform.check(['macos'], revoked, [])).toBe('met');
  });

  it('are unknown where nobody has said', () => {
    const unsaid = { ...goodFacts, clientType: undefined, platform: undefined };
    expect(clientType.check(['legacy', 'web_or_modern'], unsaid, [])).toBe('unknown');
    expect(platform.check(['macos'], unsaid, [])).toBe('unknown');
    expect(platform.seen(unsaid, [], ['macos'])).toBe('not said');
  });

  it('take the word of a device once it is trusted, and that of the sign-in server before', () => {
    const told = { ...goodFacts, platform: 'ios', signedPlatform: 'windows' } as const;
    const deviceTrust = { trusted: false, reason: 'certificate_unknown' } as const;
    expect(platform.check(['windows'], told, [])).toBe('met');
    expect(platform.check(['windows'], { ...told, deviceTrust }, [])).toBe('not_met');
    expect(platform.check(['ios'], { ...told, deviceTrust }, [])).toBe('met');
    const unsaid = { ...told, deviceTrust, platform: undefined };
    expect(platform.check(['windows'], unsaid, [])).toBe('unknown');
  });

  it('say what was wanted', () => {
    expect(platform.wanted(['macos'])).toBe('macos');
    expect(platform.wanted(['macos', 'ios'])).toBe('one of macos, ios');
    expect(platform.seen(goodFacts, [], ['ios'])).toBe('macos');
  });
});
