import type { KeyObject } from '../enrollment/key-object.ts';
import type { RevocationObject } from '../revocation/revocation-object.ts';
import { revocationObjectName } from '../revocation/revocation-place.ts';
import type { PkiDestinations } from './deliver-pki-standing.ts';
import { keyObjectName, shardOfBytes } from './placement.ts';

export type PkiObjects = {
  readonly keys: DurableObjectNamespace<KeyObject>;
  readonly revocation: DurableObjectNamespace<RevocationObject>;
  readonly shardCount: number;
};

/** Whoever fails instead of answering is told again. */
async function answers(question: () => Promise<{ readonly ok: boolean }>): Promise<boolean> {
  try {
    return (await question()).ok;
  } catch (error) {
    console.error(JSON.stringify({ event: 'standing_not_delivered', detail: String(error) }));
    return false;
  }
}

/** The objects that a shard's outbox is emptied into. */
export function pkiDestinations({ keys, revocation, shardCount }: PkiObjects): PkiDestinations {
  return {
    publish: (issuerId, crlShard, entries) =>
      answers(() => {
        const place = { issuerId, crlShard };
        const name = revocationObjectName(place);
        return revocation.get(revocation.idFromName(name)).publish(place, entries);
      }),
    blockKey: (spkiSha256) =>
      answers(() => {
        const name = keyObjectName(shardOfBytes(spkiSha256, shardCount));
        return keys.get(keys.idFromName(name)).block(spkiSha256);
      }),
  };
}
