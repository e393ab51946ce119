/**
 * What a broker must remember of one device, its certificates and its users, and what it must answer: written from the
 * documents, without the broker's code. No keys, no bytes, no time: everything here happens within a minute.
 */
export type ModelApplication = {
  readonly enforcement: 'enforce' | 'monitor';
  readonly trustedDevices: 'allow' | 'step_up';
  readonly otherDevices: 'deny' | 'step_up';
};

export type ModelCertificate = {
  /** Number of the key that it certifies. */
  readonly key: number;
  status: 'issued' | 'bound' | 'suspended' | 'revoked';
  boundUser?: string;
  boundEpoch?: number;
};

type ModelUser = { active: boolean; epoch: number; tombstone: number };

/** A sign-in or a completion, as the sign-in server asks. */
export type Asked = {
  readonly challenge: string;
  readonly application: ModelApplication;
  readonly rightTransaction: boolean;
  /** Number of the certificate that answered; `undefined` when none did. */
  readonly certificate: number | undefined;
  readonly rightOrigin: boolean;
  readonly user: string;
  readonly authenticated: boolean;
  /** The evidence's text, which a completion has to repeat. */
  readonly evidence: string;
  /** Everything that is sent, by which a retry is known. */
  readonly request: string;
  readonly completion: { readonly factorAsserted: boolean } | undefined;
};

type Demand = { readonly authentication: boolean; readonly factor: boolean };

export type Outcome = {
  readonly decision: boolean;
  readonly reason: string;
  readonly trusted: boolean;
  readonly untrustedReason: string | undefined;
  readonly boundNow: boolean;
  readonly demand: Demand | undefined;
};

export type Expected =
  /** Decided now, with a row of its own under the challenge. */
  | { readonly kind: 'decided'; readonly row: ModelRow }
  /** The answer that was given before. */
  | { readonly kind: 'repeated'; readonly row: ModelRow }
  /** Recorded under a fresh id, without a token. */
  | { readonly kind: 'refused'; readonly reason: string };

export type ModelRow = Outcome & {
  readonly asked: Asked;
  /** The user's epoch then: of the binding it rested on, and of the wait. */
  readonly epoch: number;
  /** What the broker called it. */
  decisionId?: string;
};

type Trust = { readonly trusted: true } | { readonly trusted: false; readonly reason: string };
type Effect =
  | { readonly effect: 'allow' | 'deny'; readonly reason: string }
  | { readonly effect: 'wait'; readonly reason: string; readonly demand: Demand };

export const unboundLimit = 5;

/** First what the device is, then what the application makes of that. */
function applyPolicy(application: ModelApplication, trust: Trust): Effect {
  const factor = application.trustedDevices === 'step_up';
  if (trust.trusted) {
    return factor
      ? { effect: 'wait', reason: 'step_up_required', demand: { authentication: false, factor } }
      : { effect: 'allow', reason: 'trusted_device' };
  }
  if (application.enforcement === 'monitor') return { effect: 'allow', reason: 'monitor_only' };
  if (trust.reason === 'subject_not_authenticated') {
    const demand = { authentication: true, factor };
    return { effect: 'wait', reason: 'authentication_required', demand };
  }
  return application.otherDevices === 'step_up'
    ? {
        effect: 'wait',
        reason: 'step_up_required',
        demand: { authentication: false, factor: true },
      }
    : { effect: 'deny', reason: trust.reason };
}

export class DeviceModel {
  readonly certificates: ModelCertificate[] = [];
  /** By number of the token: the key that it was spent by. */
  readonly spentTokens = new Map<number, number>();
  readonly #users = new Map<string, ModelUser>();
  readonly #rows = new Map<string, ModelRow>();

  get rows(): ModelRow[] {
    return [...this.#rows.values()];
  }

  get unboundCertificates(): number {
    return this.certificates.filter(({ status }) => status === 'issued' || status === 'suspended')
      .length;
  }

  user(id: string): ModelUser {
    const user = this.#users.get(id) ?? { active: true, epoch: 1, tombstone: 0 };
    this.#users.set(id, user);
    return user;
  }

  /** @returns the number of the certificate, or the code of the refusal */
  enroll(token: number, key: number): number | string {
    const spentBy = this.spentTokens.get(token);
    if (spentBy !== undefined && spentBy !== key) return 'enrollment_token_spent';
    const existing = this.certificates.findIndex((certificate) => certificate.key === key);
    if (this.certificates[existing]?.status === 'revoked') return 'key_blocked';
    if (existing < 0 && this.unboundCertificates >= unboundLimit) return 'enrollment_limit_reached';
    this.spentTokens.set(token, key);
    if (existing >= 0) return existing;
    return this.certificates.push({ key, status: 'issued' }) - 1;
  }

  revoke(certificate: number): void {
    const row = this.certificates[certificate];
    if (row !== undefined) row.status = 'revoked';
  }

  deactivate(id: string): void {
    if (!this.user(id).active) return;
    this.endBindings(id);
    this.user(id).active = false;
  }

  reactivate(id: string): void {
    this.user(id).active = true;
  }

  /** The user's epoch is over: bindings of it are void, and the device's unbound certificates rest with them. */
  endBindings(id: string): void {
    const user = this.user(id);
    user.tombstone = user.epoch;
    user.epoch += 1;
    const wasHere = this.certificates.some(({ boundUser }) => boundUser === id);
    for (const certificate of this.certificates) {
      if (wasHere && certificate.status === 'issued') certificate.status = 'suspended';
    }
  }

  #trust(asked: Asked, evidenceFailure: string | undefined): Trust {
    const no = (reason: string): Trust => ({ trusted: false, reason });
    if (evidenceFailure !== undefined) return no(evidenceFailure);
    const certificate = this.certificates[asked.certificate ?? -1];
    if (certificate === undefined) return no('certificate_unknown');
    if (certificate.status === 'revoked') return no('certificate_revoked');
    if (certificate.status === 'suspended') return no('certificate_suspended');
    const { active, tombstone } = this.user(asked.user);
    const isUnbound = certificate.boundUser === undefined;
    if (!isUnbound && certificate.boundUser !== asked.user) {
      return no('certificate_bound_to_other_user');
    }
    if (!isUnbound && (certificate.boundEpoch ?? 0) <= tombstone) return no('user_revoked');
    if (isUnbound && !asked.authenticated) return no('subject_not_authenticated');
    return active ? { trusted: true } : no('subject_inactive');
  }

  #stillStands({ decision, trusted, asked, epoch }: ModelRow): boolean {
    if (!decision) return true;
    const { active, tombstone } = this.user(asked.user);
    if (!active) return false;
    if (!trusted) return true;
    const certificate = this.certificates[asked.certificate ?? -1];
    return certificate?.status === 'bound' && certificate.boundEpoch === epoch && epoch > tombstone;
  }

  /** What the broker has to answer, with all that comes of it. */
  evaluate(asked: Asked): Expected {
    const refuse = (reason: string): Expected => ({ kind: 'refused', reason });
    const user = this.user(asked.user);
    if (!asked.rightTransaction) {
      return refuse(user.active ? 'challenge_wrong_transaction' : 'subject_inactive');
    }
    const withoutResponse = asked.certificate === undefined ? 'evidence_missing' : undefined;
    const evidenceFailure =
      withoutResponse ?? (asked.rightOrigin ? undefined : 'response_wrong_origin');
    const device = evidenceFailure === undefined ? 'device' : 'nobody';
    const keyOf = (stage: 0 | 1) => `${asked.challenge} ${device} ${stage}`;
    const key = keyOf(asked.completion === undefined ? 0 : 1);

    const spent = this.#rows.get(key);
    if (spent !== undefined) {
      if (spent.asked.request !== asked.request) return refuse('challenge_already_used');
      return this.#stillStands(spent) ? { kind: 'repeated', row: spent } : refuse('revoked');
    }
    const waiting = asked.completion === undefined ? undefined : this.#rows.get(keyOf(0));
    if (asked.completion !== undefined) {
      const refusal = this.#examineCompletion(asked, waiting);
      if (refusal !== undefined) return refuse(refusal);
    }

    const judge = (trust: Trust): Effect => {
      if (!user.active) return { effect: 'deny', reason: 'subject_inactive' };
      const effect = applyPolicy(asked.application, trust);
      if (effect.effect !== 'wait' || asked.completion === undefined) return effect;
      return meets(effect.demand, asked)
        ? { effect: 'allow', reason: 'step_up_completed' }
        : effect;
    };
    let trust = this.#trust(asked, evidenceFailure);
    let effect = judge(trust);
    const certificate = this.certificates[asked.certificate ?? -1];
    const wouldBind = () =>
      effect.effect === 'allow' && trust.trusted && certificate?.boundUser === undefined;
    if (wouldBind() && waiting !== undefined && waiting.epoch !== user.epoch) {
      // The wait began under an epoch that has ended.
      trust = { trusted: false, reason: 'user_revoked' };
      effect = judge(trust);
    }
    if (effect.effect === 'wait' && asked.completion !== undefined) {
      return refuse('step_up_insufficient');
    }
    const boundNow = wouldBind();
    if (boundNow && certificate !== undefined) {
      certificate.status = 'bound';
      certificate.boundUser = asked.user;
      certificate.boundEpoch = user.epoch;
    }
    const row: ModelRow = {
      asked,
      decision: effect.effect === 'allow',
      reason: effect.reason,
      trusted: trust.trusted,
      untrustedReason: trust.trusted || trust.reason === effect.reason ? undefined : trust.reason,
      boundNow,
      demand: effect.effect === 'wait' ? effect.demand : undefined,
      epoch: trust.trusted ? (certificate?.boundEpoch ?? user.epoch) : user.epoch,
    };
    this.#rows.set(key, row);
    return { kind: 'decided', row };
  }

  #examineCompletion(asked: Asked, waiting: ModelRow | undefined): string | undefined {
    if (waiting?.demand === undefined) return 'not_pending';
    if (waiting.asked.user !== asked.user) return 'step_up_wrong_subject';
    if (waiting.asked.evidence !== asked.evidence) return 'step_up_wrong_evidence';
    return meets(waiting.demand, asked) ? undefined : 'step_up_insufficient';
  }
}

function meets(demand: Demand, asked: Asked): boolean {
  if (demand.authentication && !asked.authenticated) return false;
  return !demand.factor || asked.completion?.factorAsserted === true;
}
