import { hardwareId } from '@countersign/protocol/enrollment';
import { integrationId } from '@countersign/protocol/integration-id';
import { maxOriginsPerClient } from '@countersign/protocol/limits';
import { secureWebOrigin, sha256Text } from '@countersign/protocol/schemas';
import * as z from 'zod/mini';
import type { TokenSettings } from '../keystore/pkcs11/token-settings.ts';
import type { TpmSettings } from '../keystore/tpm/tpm-settings.ts';

const path = z.string().check(z.minLength(1), z.maxLength(4096));

/** host.json, as an administrator writes it. Unknown members are refused: a misspelt one would protect nothing. */
export const configurationFile = z.strictObject({
  /** Sign-in pages that this host answers on. */
  origins: z.array(secureWebOrigin).check(z.minLength(1), z.maxLength(maxOriginsPerClient)),
  /** The only broker that this host enrolls with. */
  broker_url: z.optional(z.string()),
  /** SHA-256 of the organization's root certificate (DER): the broker must prove to stand under it. */
  root_sha256: z.optional(sha256Text),
  /** Absolute path of the folder with certificate and key. */
  state_directory: z.optional(path),
  /** Stands in for what the machine says about itself. */
  hardware_id: z.optional(hardwareId),
  /** Where the key is made and stays; in files in the state folder by default. */
  keystore: z.optional(
    z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('file') }),
      z.strictObject({
        kind: z.literal('pkcs11'),
        /** Absolute path of the PKCS#11 module. */
        module: path,
        token_label: z.string().check(z.minLength(1), z.maxLength(32)),
        /** Absolute path of the file with the user's PIN; left out for a token that asks for none. */
        pin_file: z.optional(path),
      }),
      z.strictObject({
        kind: z.literal('tpm'),
        /** Absolute path of the TPM's device node; `/dev/tpmrm0` by default. */
        device: z.optional(path),
        /** Port of a software TPM on this machine, in its place: with `development` alone. */
        simulator_port: z.optional(z.int().check(z.minimum(1), z.maximum(65_535))),
        /** Integration to enroll in by an attestation of the TPM; left out, by an enrollment token. */
        attest_to: z.optional(integrationId),
      }),
    ]),
  ),
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
  readonly keystore:
    | { readonly kind: 'file' }
    | ({ readonly kind: 'pkcs11' } & TokenSettings)
    | ({ readonly kind: 'tpm' } & TpmSettings);
  readonly hardwareId?: z.infer<typeof hardwareId>;
  readonly development: boolean;
};
