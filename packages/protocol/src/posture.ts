import * as z from 'zod/mini';

/** How a device is kept, in one spelling for whoever says it. What is left out is not known; false is an answer. */
export const postureSwitches = {
  /** The disk that the system starts from, and the person's own files, are encrypted where they lie. */
  disk_encryption: z.optional(z.boolean()),
  firewall: z.optional(z.boolean()),
  /** A screen that nobody uses locks itself. */
  screen_lock: z.optional(z.boolean()),
};

const switches = z.object(postureSwitches);
export type PostureSwitches = z.infer<typeof switches>;

export const postureSwitchNames = ['disk_encryption', 'firewall', 'screen_lock'] as const;
export type PostureSwitch = (typeof postureSwitchNames)[number];

/** What a device runs, as policies tell systems apart. */
export const platforms = [
  'ios',
  'android',
  'other_mobile',
  'windows',
  'macos',
  'other_desktop',
] as const;
export type Platform = (typeof platforms)[number];

/** What a device management knows of how a device is kept, as of the moment at which it last looked. */
export const postureReport = z.object({
  reported_at_ms: z.int(),
  ...postureSwitches,
  /** Whose version that is. Reports from before it was asked for have none. */
  platform: z.optional(z.enum(platforms)),
  /** Numbers with dots. */
  os_version: z.optional(z.string()),
});
export type PostureReport = z.infer<typeof postureReport>;
