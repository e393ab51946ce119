import * as z from 'zod/mini';
import { secureWebOrigin } from './schemas.ts';

/** The extension's managed storage, set by browser policy. It only says where to listen; the host has its own list. */
export const managedConfig = z.object({
  origins: z.array(secureWebOrigin).check(z.maxLength(64)),
});
export type ManagedConfig = z.infer<typeof managedConfig>;
