import { failOpenRenewalSeconds, failOpenStatementAnswer } from '@countersign/protocol/fail-open';
import { p256PublicJwk, parseFields } from '@countersign/protocol/schemas';
import { type CryptoKey, exportJWK, importJWK } from 'jose';
import type { CountersignErrorCode } from '../countersign-error.ts';
import type { FindDecisionKey, NoDecisionKey } from '../published-keys.ts';
import type { Asked } from './ask-in-background.ts';
import type { FailOpenEvent } from './fail-open-options.ts';
import type { KeptStatement, StateKeeper } from './kept-state.ts';
import { kidOf, type StatementResult, verifyStatement } from './verify-statement.ts';

/** What statements are asked for and verified with. */
export type StatementContext = {
  readonly applications: readonly string[];
  readonly issuer: string;
  readonly clientId: string;
  readonly findKey: FindDecisionKey;
  readonly toleranceSeconds: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly ask: (path: string, body: object) => Promise<Asked>;
  readonly tell: (event: FailOpenEvent) => void;
};

/**
 * With these words the broker takes a statement back. Any other answer may be that of a front or of one that is not well, at
 * the beginning of the very outage that the statement is for.
 */
const takenBack: readonly CountersignErrorCode[] = [
  'fail_open_off',
  'client_authentication_failed',
];

const noKeyDetails: Readonly<Record<NoDecisionKey['reason'], string>> = {
  unknown: 'its key is not among those of the broker',
  wrong_purpose: 'its key is published for another purpose',
  without_purpose:
    'the broker does not say what its key is for, so it is older than this package and must be upgraded first',
  unavailable: 'the keys of the broker cannot be read',
};

type Examined =
  | { readonly ok: true; readonly stored: KeptStatement; readonly expiresAt: Date }
  | { readonly ok: false; readonly detail: string };

/** The broker's statements: asked for anew while it answers, kept with their keys, verified whenever one is used. */
export class StatementKeeper {
  readonly #context: StatementContext;
  readonly #kept: StateKeeper;
  /** Applications that the log has been told of. */
  readonly #allowed = new Set<string>();
  /** Likewise, of what it could not ask for. */
  readonly #notRenewed = new Set<string>();

  constructor(context: StatementContext, kept: StateKeeper) {
    this.#context = context;
    this.#kept = kept;
  }

  /** Verifies what is kept for an application. */
  async find(application: string): Promise<StatementResult> {
    const { statements } = this.#kept.state;
    const kept = Object.hasOwn(statements, application) ? statements[application] : undefined;
    if (kept === undefined) return { ok: false, detail: 'there is none' };
    const { purpose, ...jwk } = kept.key;
    if (purpose !== 'decision') {
      return { ok: false, detail: 'its key was kept without its purpose' };
    }
    const key = await importPublicKey(jwk);
    return key === undefined
      ? { ok: false, detail: 'its key is none' }
      : await this.#verify(kept.statement, key, application);
  }

  /** @returns after how many seconds to ask again; `undefined` where the broker did not answer */
  async renew(application: string): Promise<number | undefined> {
    const asked = await this.#context.ask('/v1/fail-open-statements', { application });
    if (!asked.ok) {
      const { code, message } = asked.error;
      if (!takenBack.includes(code)) return this.#keepWhatThereIs(application, message);
      await this.#forget(application, message);
      return failOpenRenewalSeconds;
    }
    const answer = parseFields(failOpenStatementAnswer, asked.json);
    if (!answer.ok) return this.#keepWhatThereIs(application, 'the answer has no statement');
    const kept = await this.#examine(answer.value.statement, application);
    if (!kept.ok) {
      const detail = `the statement does not verify: ${kept.detail}`;
      return this.#keepWhatThereIs(application, detail);
    }
    this.#notRenewed.delete(application);
    const statements = { ...this.#kept.state.statements, [application]: kept.stored };
    this.#kept.change({ statements });
    await this.#kept.save();
    if (!this.#allowed.has(application)) {
      this.#allowed.add(application);
      this.#context.tell({ type: 'allowed', application, expiresAt: kept.expiresAt });
    }
    return answer.value.renew_after_seconds;
  }

  /** What the store holds for applications that the options name no more: nobody renews it, or takes it back. */
  async forgetUnwanted(): Promise<void> {
    const { applications } = this.#context;
    const kept = Object.keys(this.#kept.state.statements);
    for (const application of kept.filter((name) => !applications.includes(name))) {
      await this.#forget(application, 'the option failOpen.applications does not name it');
    }
  }

  #verify(statement: string, key: CryptoKey, application: string): Promise<StatementResult> {
    const { issuer, clientId, now, toleranceSeconds } = this.#context;
    const expected = { issuer, clientId, application };
    const nowSeconds = Math.floor(now() / 1000);
    return verifyStatement(statement, key, expected, nowSeconds, toleranceSeconds);
  }

  /** Nothing was heard of the broker, or of somebody else in its place: a statement that is kept ends by itself. */
  #keepWhatThereIs(application: string, detail: string): undefined {
    if (this.#notRenewed.has(application)) return;
    this.#notRenewed.add(application);
    this.#context.tell({ type: 'not_renewed', application, detail });
  }

  /** What is kept of a statement: beside it the key, since nobody can be asked for that when it is needed. */
  async #examine(statement: string, application: string): Promise<Examined> {
    const kid = kidOf(statement);
    if (kid === undefined) return { ok: false, detail: 'its header is not right' };
    const found = await this.#context.findKey({ alg: 'ES256', kid });
    if (!found.ok) return { ok: false, detail: noKeyDetails[found.reason] };
    const verified = await this.#verify(statement, found.key, application);
    if (!verified.ok) return verified;
    const jwk = parseFields(p256PublicJwk, await exportJWK(found.key));
    if (!jwk.ok) return { ok: false, detail: `${jwk.field} of its key ${jwk.detail}` };
    const expiresAt = new Date(verified.claims.exp * 1000);
    const key = { ...jwk.value, purpose: 'decision' };
    return { ok: true, stored: { statement, key }, expiresAt };
  }

  async #forget(application: string, detail: string): Promise<void> {
    this.#notRenewed.delete(application);
    if (!Object.hasOwn(this.#kept.state.statements, application)) return;
    this.#allowed.delete(application);
    const { [application]: _, ...statements } = this.#kept.state.statements;
    this.#kept.change({ statements });
    await this.#kept.save();
    this.#context.tell({ type: 'not_allowed', application, detail });
  }
}

async function importPublicKey(jwk: object): Promise<CryptoKey | undefined> {
  try {
    const key = await importJWK({ ...jwk }, 'ES256');
    return key instanceof Uint8Array ? undefined : key;
  } catch {
    // It has the form of a point and is none: the store was changed by somebody else.
    return undefined;
  }
}
