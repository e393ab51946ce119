/**
 * What a broker must remember of one device, its certificates and its users, and what it must answer: written from the
 * documents, without the broker's code. No keys, no bytes, no time: everything here happens within a minute.
 */
export type ModelApplication = {
  readonly enforcement: 'enforce' | 'monitor';
  readonly trustedDevices: 'allow' | 'step_up';
  readonly otherDevices: 'deny' | 'step_up';
  /** What it leaves to the global policy: what trusted devices may do, or everything. */
  readonly leaves?: 'trusted_devices' | 'everything';
};

/** The part of the global policy that changes here. Other devices are denied by it. */
export type ModelGlobalPolicy = Pick<ModelApplication, 'enforcement' | 'trustedDevices'>;

export const globalPolicyOfBeginning: ModelGlobalPolicy = {
  enforcement: 'enforce',
  trustedDevices: 'allow',
};

export type ModelCertificate = {
  /** Number of the key that it certifies. */
  readonly key: number;
  /** Number of the certificate that the renewals began with. */
  readonly lineage: number;
  status: 'issued' | 'bound' | 'superseded' | 'suspended' | 'revoked';
  /** A newer one of the lineage has taken its place; the overlap does not end within a test. */
  isReplaced: boolean;
  boundUser?: string;
  boundEpoch?: number;
};

type ModelUser = { active: boolean; epoch: number; tombstone: number };

/** A sign-in or a completion, as the sign-in server asks. */
export type Asked = {
  readonly challenge: string;
  /** Number of the application. */
  readonly application: number;
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

/** The applications of every beginning. */
export const applications: readonly ModelApplication[] = [
  { enforcement: 'enforce', trustedDevices: 'allow', otherDevices: 'deny' },
  { enforcement: 'enforce', trustedDevices: 'step_up', otherDevices: 'deny' },
  { enforcement: 'enforce', trustedDevices: 'allow', otherDevices: 'step_up' },
  { enforcement: 'monitor', trustedDevices: 'allow', otherDevices: 'deny' },
];

export const unboundLimit = 5;
export const usableLimit = 5;

/** First what the device is, then what the application makes of that. */
function applyPolicy(application: ModelApplication, trust: Trust): Effect {
  const factor = application.trustedDevices === 'step_up';
  if (application.enforcement === 'monitor') {
    const isAllowed = trust.trusted && !factor;
    return { effect: 'allow', reason: isAllowed ? 'trusted_device' : 'monitor_only' };
  }
  if (trust.trusted) {
    return factor
      ? { effect: 'wait', reason: 'step_up_required', demand: { authentication: false, factor } }
      : { effect: 'allow', reason: 'trusted_device' };
  }
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
  readonly #applications: ModelApplication[] = [...applications];
  #globalPolicy = globalPolicyOfBeginning;
  /** By number of the token: the key that it was spent by. */
  readonly spentTokens = new Map<number, number>();
  isBlocked = false;
  readonly #users = new Map<string, ModelUser>();
  readonly #rows = new Map<string, ModelRow>();

  get rows(): ModelRow[] {
    return [...this.#rows.values()];
  }

  get unboundCertificates(): number {
    const unbound = this.certificates.filter(
      ({ status, boundUser }) => status !== 'revoked' && boundUser === undefined,
    );
    return new Set(unbound.map(({ lineage }) => lineage)).size;
  }

  user(id: string): ModelUser {
    const user = this.#users.get(id) ?? { active: true, epoch: 1, tombstone: 0 };
    this.#users.set(id, user);
    return user;
  }

  #application(number: number): ModelApplication {
    const application = this.#applications[number];
    if (application === undefined) throw new RangeError(`there is no application ${number}`);
    const { enforcement, trustedDevices } = this.#globalPolicy;
    if (application.leaves === 'everything') {
      return { enforcement, trustedDevices, otherDevices: 'deny' };
    }
    return application.leaves === undefined ? application : { ...application, trustedDevices };
  }

  changeGlobalPolicy(policy: ModelGlobalPolicy): void {
    this.#globalPolicy = policy;
  }

  /** From now on: what was decided stays, and what waits is completed by the newer policy. */
  changePolicy(number: number, application: ModelApplication): void {
    this.#applications[number] = application;
  }

  /** @returns the number of the certificate, or the code of the refusal */
  enroll(token: number, key: number): number | string {
    const spentBy = this.spentTokens.get(token);
    if (spentBy !== undefined && spentBy !== key) return 'enrollment_token_spent';
    if (this.isBlocked) return 'device_blocked';
    const existing = this.certificates.findLastIndex((certificate) => certificate.key === key);
    if (this.certificates[existing]?.status === 'revoked') return 'key_blocked';
    if (existing < 0 && this.unboundCertificates >= unboundLimit) return 'enrollment_limit_reached';
    this.spentTokens.set(token, key);
    if (existing >= 0) return existing;
    const lineage = this.certificates.length;
    return this.certificates.push({ key, lineage, status: 'issued', isReplaced: false }) - 1;
  }

  /** A certificate with all that it renewed and that renewed it. */
  #lineageOf(certificate: number): ModelCertificate[] {
    const lineage = this.certificates[certificate]?.lineage;
    return this.certificates.filter((each) => each.lineage === lineage);
  }

  /**
   * @param newKey the key that is to follow; left out, the renewal is asked for although it is not due
   * @returns the number of the certificate that is the answer, or the code of the refusal
   */
  renew(certificate: number, newKey: number | undefined): number | string {
    const presented = this.certificates[certificate];
    if (presented === undefined) return 'renewal_certificate_unknown';
    if (presented.status === 'revoked') return 'renewal_certificate_revoked';
    if (presented.status === 'suspended') return 'renewal_certificate_suspended';
    const newest = this.certificates.findLastIndex(
      ({ lineage, status }) => lineage === presented.lineage && status !== 'revoked',
    );
    if (newKey === undefined || newKey === presented.key) {
      return newest === certificate ? newest : 'renewal_certificate_superseded';
    }
    const ofKey = this.certificates.findLastIndex(({ key }) => key === newKey);
    const existing = this.certificates[ofKey];
    if (existing?.status === 'revoked') return 'key_blocked';
    if (existing !== undefined) {
      return existing.lineage === presented.lineage ? ofKey : 'renewal_key_in_use';
    }
    // A key that was replaced is not replaced once more.
    if (newest !== certificate) return 'renewal_certificate_superseded';
    const line = this.#lineageOf(certificate).filter(({ status }) => status !== 'revoked');
    if (line.length >= usableLimit) return 'renewal_limit_reached';
    for (const each of line) {
      each.isReplaced = true;
      if (each.status !== 'suspended') each.status = 'superseded';
    }
    const { lineage, boundUser, boundEpoch } = presented;
    const status = boundUser === undefined ? 'issued' : 'bound';
    const binding =
      boundUser === undefined || boundEpoch === undefined ? {} : { boundUser, boundEpoch };
    return (
      this.certificates.push({ key: newKey, lineage, status, isReplaced: false, ...binding }) - 1
    );
  }

  revoke(certificate: number): void {
    for (const each of this.#lineageOf(certificate)) each.status = 'revoked';
  }

  hold(certificate: number): void {
    for (const each of this.#lineageOf(certificate)) {
      if (each.status !== 'revoked') each.status = 'suspended';
    }
  }

  release(certificate: number): void {
    for (const each of this.#lineageOf(certificate)) {
      if (each.status !== 'suspended') continue;
      const current = each.boundUser === undefined ? 'issued' : 'bound';
      each.status = each.isReplaced ? 'superseded' : current;
    }
  }

  lose(): void {
    for (const each of this.certificates) each.status = 'revoked';
    this.isBlocked = true;
  }

  find(): void {
    this.isBlocked = false;
  }

  deactivate(id: string): void {
    if (!this.user(id).active) return;
    this.endBindings(id);
    this.user(id).active = false;
  }

  reactivate(id: string): void {
    this.user(id).active = true;
  }

  /** The user's epoch is over: bindings of it are revoked, and the device's unbound certificates rest with them. */
  endBindings(id: string): void {
    const user = this.user(id);
    user.tombstone = user.epoch;
    user.epoch += 1;
    const wasHere = this.certificates.some(({ boundUser }) => boundUser === id);
    for (const certificate of this.certificates) {
      if (certificate.boundUser === id) certificate.status = 'revoked';
      const isUnbound = certificate.boundUser === undefined && certificate.status !== 'revoked';
      if (wasHere && isUnbound) certificate.status = 'suspended';
    }
  }

  #trust(asked: Asked, evidenceFailure: string | undefined): Trust {
    const no = (reason: string): Trust => ({ trusted: false, reason });
    if (evidenceFailure !== undefined) return no(evidenceFailure);
    const certificate = this.certificates[asked.certificate ?? -1];
    if (certificate === undefined) return no('certificate_unknown');
    if (this.isBlocked) return no('device_blocked');
    const { active, tombstone } = this.user(asked.user);
    if (certificate.status === 'revoked') {
      const ended =
        certificate.boundUser === asked.user && (certificate.boundEpoch ?? 0) <= tombstone;
      return no(ended ? 'user_revoked' : 'certificate_revoked');
    }
    if (certificate.status === 'suspended') return no('certificate_suspended');
    const isUnbound = certificate.boundUser === undefined;
    if (!isUnbound && certificate.boundUser !== asked.user) {
      return no('certificate_bound_to_other_user');
    }
    if (isUnbound && !asked.authenticated) return no('subject_not_authenticated');
    return active ? { trusted: true } : no('subject_inactive');
  }

  #stillStands({ decision, trusted, asked, epoch }: ModelRow): boolean {
    if (!decision) return true;
    const { active, tombstone } = this.user(asked.user);
    if (!active) return false;
    if (!trusted) return true;
    const certificate = this.certificates[asked.certificate ?? -1];
    const isGood = certificate?.status === 'bound' || certificate?.status === 'superseded';
    if (!isGood || this.isBlocked) return false;
    return (
      certificate.boundUser !== undefined && certificate.boundEpoch === epoch && epoch > tombstone
    );
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
      const effect = applyPolicy(this.#application(asked.application), trust);
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
    for (const each of boundNow ? this.#lineageOf(asked.certificate ?? -1) : []) {
      if (each.status === 'issued') each.status = 'bound';
      each.boundUser = asked.user;
      each.boundEpoch = user.epoch;
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
