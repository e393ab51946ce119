import { hardwareId } from '@countersign/protocol/enrollment';
import { maxOriginsPerClient } from '@countersign/protocol/limits';
import { secureWebOrigin, sha256Text } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';

/** host.json, as an administrator writes it. Unknown members are refused: a misspelt one would protect nothing. */
export const configurationFile = z.strictObject({
  /** Sign-in pages that this host answers on. */
  origins: z.array(secureWebOrigin).check(z.minLength(1), z.maxLength(maxOriginsPerClient)),
  /** The only broker that this host enrolls with. */
  broker_url: z.optional(z.string()),
  /** SHA-256 of the organization's root certificate (DER): the broker must prove to stand under it. */
  root_sha256: z.optional(sha256Text),
  /** Absolute path of the folder with certificate and key. */
  state_directory: z.optional(z.string().check(z.minLength(1), z.maxLength(4096))),
  /** Stands in for what the machine says about itself. */
  hardware_id: z.optional(hardwareId),
  /** Accepts a file that others than root can change. Shown in the popup and said in every response. */
  development: z.optional(z.boolean()),
});

/** The checked configuration. */
export type Configuration = {
  /** Absolute path of the file it was read from. */
  readonly path: string;
  readonly origins: readonly string[];
  readonly brokerUrl?: string;
  readonly rootSha256?: string;
  readonly stateDirectory: string;
  readonly hardwareId?: z.infer<typeof hardwareId>;
  readonly development: boolean;
};
