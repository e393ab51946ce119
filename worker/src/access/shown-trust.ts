import type { ShownDeviceTrust } from '@countersign/policy';
import type { DecisionTokenClaims } from '@countersign/protocol/decision-token';
import { subjectTypeUser } from '@countersign/protocol/evaluation';
import type { OrganizationSnapshot } from '../directory/organization-snapshot.ts';
import type { StorageUnavailable } from '../storage/durable-store.ts';
import { openDecisionToken, type TokenContext } from './open-decision-token.ts';
import { askForSignIn, type ShownContext } from './shown-sign-in.ts';

type FoundTrust =
  | { readonly ok: true; readonly trust: ShownDeviceTrust | undefined }
  | StorageUnavailable;

const nothing: FoundTrust = { ok: true, trust: undefined };

/** What the decision tokens of one request tell of devices. Each is opened once, and its shard is asked once. */
export class ShownTrust {
  readonly #context: ShownContext & { readonly token: TokenContext };
  readonly #snapshot: OrganizationSnapshot;
  readonly #opened = new Map<string, Promise<DecisionTokenClaims | undefined>>();
  /** By `jti`. */
  readonly #asked = new Map<string, Promise<FoundTrust>>();

  constructor(
    context: ShownContext & { readonly token: TokenContext },
    snapshot: OrganizationSnapshot,
  ) {
    this.#context = context;
    this.#snapshot = snapshot;
  }

  /** Of the device that the subject has signed in with, as it is now; `undefined` where the token is not of such a sign-in. */
  async find(
    unverifiedToken: string | undefined,
    subject: { readonly type: string; readonly id: string },
  ): Promise<FoundTrust> {
    if (unverifiedToken === undefined) return nothing;
    const opening =
      this.#opened.get(unverifiedToken) ?? openDecisionToken(unverifiedToken, this.#context.token);
    this.#opened.set(unverifiedToken, opening);
    const claims = await opening;
    if (claims === undefined || subject.type !== subjectTypeUser || subject.id !== claims.sub) {
      return nothing;
    }
    // What was no trusted device then does not become one.
    if (!claims.device_trusted) return { ok: true, trust: { trusted: false } };
    const asking = this.#asked.get(claims.jti) ?? this.#ask(claims);
    this.#asked.set(claims.jti, asking);
    return await asking;
  }

  async #ask(claims: DecisionTokenClaims): Promise<FoundTrust> {
    const found = await askForSignIn(this.#context, this.#snapshot, claims);
    if (!found.ok) return found;
    if (found.shown === undefined) return nothing;
    const { lost } = found.shown;
    return {
      ok: true,
      trust: lost === undefined ? { trusted: true } : { trusted: false, reason: lost },
    };
  }
}
