import { keySetAnswer } from '@countersign/protocol/key-set';
import { parseFields } from '@countersign/protocol/schemas';
import { parseCertificate } from '@countersign/x509';
import type { Configuration } from '../configuration/configuration.ts';
import { type Enrollment, readEnrollment } from '../enrollment/enrollment-record.ts';
import { readHardwareId } from '../hardware-id/read-hardware-id.ts';
import { callBroker } from '../http/call-broker.ts';
import { readStoredKeySet } from '../key-set/stored-key-set.ts';
import { verifyKeySet } from '../key-set/verify-key-set.ts';
import { openKeyStores } from '../keystore/open-keystores.ts';
import { describePosture, switchedOff } from '../posture/describe-posture.ts';
import { measurePosture } from '../posture/measure-posture.ts';
import { readPosture } from '../posture/read-posture.ts';
import { readAttempts } from '../renewal/renewal-attempts.ts';
import { renewAfterSeconds } from '../renewal/renewal-due.ts';
import { hasSchedule, type SchedulePlace } from '../schedule/keep-schedule.ts';
import { checkHostManifests } from './check-browsers.ts';
import { checkStanding } from './check-standing.ts';
import { type Finding, failure, ok, warning } from './finding.ts';

export type DoctorInput = {
  readonly configuration: Configuration;
  readonly place: SchedulePlace;
  readonly nowSeconds: number;
  readonly timeoutMs?: number;
};

/** Everything that a sign-in and a renewal of this device need, each looked at by itself. Repairs nothing. */
export async function checkDevice(input: DoctorInput): Promise<Finding[]> {
  const { configuration } = input;
  const findings = [
    checkConfiguration(configuration),
    await checkHardwareId(configuration),
    checkHostManifests(input.place),
  ];
  const enrollment = readEnrollment(configuration.stateDirectory);
  if (!enrollment.ok) {
    return [
      ...findings,
      failure('enrollment', enrollment.detail, 'enroll again: `countersign enroll`'),
    ];
  }
  if (enrollment.value === undefined) {
    const remedy = 'run `countersign enroll` with an enrollment token or the organization secret';
    return [...findings, failure('enrollment', 'there is none', remedy)];
  }
  return [
    ...findings,
    ok('enrollment', `device ${enrollment.value.deviceId} at ${enrollment.value.brokerUrl}`),
    checkCertificate(enrollment.value, input.nowSeconds),
    await checkKey(configuration, enrollment.value),
    checkKeySet(configuration, enrollment.value),
    checkRenewal(configuration, enrollment.value, input),
    await checkPosture(input),
    ...(await checkBroker(configuration, enrollment.value, input)),
  ];
}

function checkConfiguration({ path, origins, development }: Configuration): Finding {
  const detail = `${path}, for ${origins.length} sign-in page${origins.length === 1 ? '' : 's'}`;
  return development
    ? warning(
        'configuration',
        `${detail}; for development: others than root may change it`,
        'have root own it, and take "development" out',
      )
    : ok('configuration', detail);
}

async function checkHardwareId({ hardwareId }: Configuration): Promise<Finding> {
  if (hardwareId !== undefined) return ok('hardware id', 'from the configuration');
  const read = await readHardwareId();
  return read.ok
    ? ok('hardware id', 'the machine says it')
    : warning('hardware id', read.detail, 'write hardware_id into the configuration');
}

function checkCertificate({ leafCertificate }: Enrollment, nowSeconds: number): Finding {
  const certificate = parseCertificate(leafCertificate);
  const again = 'enroll again: `countersign enroll --replace`';
  if (!certificate.ok) return failure('certificate', certificate.detail, again);
  const { notBeforeMs, notAfterMs } = certificate.value;
  const until = new Date(notAfterMs).toISOString();
  if (nowSeconds * 1000 > notAfterMs) return failure('certificate', `expired ${until}`, again);
  return nowSeconds * 1000 < notBeforeMs
    ? failure('certificate', 'is not valid yet', 'set the clock of this computer')
    : ok('certificate', `valid until ${until}`);
}

async function checkKey(configuration: Configuration, enrollment: Enrollment): Promise<Finding> {
  const keyStore = (await openKeyStores(configuration)).open(enrollment.keyId);
  const key = await keyStore.publicKeySpki();
  const again = 'enroll again: `countersign enroll --replace`';
  if (!key.ok) return failure('key', `${key.detail} (${key.reason})`, again);
  const certificate = parseCertificate(enrollment.leafCertificate);
  const isOfCertificate =
    certificate.ok && Buffer.from(key.value).equals(certificate.value.subjectPublicKey.spki);
  if (!isOfCertificate) return failure('key', 'is not the one that the certificate is for', again);
  const signed = await keyStore.sign(Buffer.from('countersign doctor'));
  return signed.ok
    ? ok('key', `signs; kept as: ${keyStore.protection}`)
    : failure('key', `does not sign: ${signed.detail}`, again);
}

function checkKeySet({ stateDirectory }: Configuration, enrollment: Enrollment): Finding {
  const stored = readStoredKeySet(stateDirectory, enrollment);
  return stored === undefined
    ? warning('key set', 'there is none that holds', 'it is fetched at the next sign-in')
    : ok(
        'key set',
        `version ${stored.claims.version}, of ${new Date(stored.fetchedAtSeconds * 1000).toISOString()}`,
      );
}

function checkRenewal(
  { stateDirectory }: Configuration,
  enrollment: Enrollment,
  { place, nowSeconds }: DoctorInput,
): Finding {
  const attempts = readAttempts(stateDirectory);
  if (attempts !== undefined) {
    const last = new Date(attempts.lastAtSeconds * 1000).toISOString();
    const detail = `failed ${attempts.failures} times, last ${last}: ${attempts.lastCode}`;
    return warning('renewal', detail, 'run `countersign renew` and see what it says');
  }
  const afterSeconds = renewAfterSeconds(enrollment);
  const due = new Date(afterSeconds * 1000).toISOString();
  if (nowSeconds > afterSeconds + 2 * 86_400) {
    return warning('renewal', `was due ${due}`, 'run `countersign renew`');
  }
  return hasSchedule(place) === false
    ? warning('renewal', `due ${due}; no task of yours renews`, 'run `countersign schedule`')
    : ok('renewal', `due ${due}`);
}

/** Measured now, and not kept: what a sign-in says until it is measured again, `countersign status` shows. */
async function checkPosture({ nowSeconds }: DoctorInput): Promise<Finding> {
  const posture = { ...readPosture(), ...(await measurePosture()), measured_at: nowSeconds };
  const off = switchedOff(posture);
  return off.length === 0
    ? ok('posture', describePosture(posture))
    : warning(
        'posture',
        describePosture(posture),
        `where the organization asks for it, turn on: ${off.join(', ')}`,
      );
}

async function checkBroker(
  configuration: Configuration,
  enrollment: Enrollment,
  { nowSeconds, timeoutMs = 10_000 }: DoctorInput,
): Promise<Finding[]> {
  const called = await callBroker({
    brokerUrl: enrollment.brokerUrl,
    method: 'GET',
    path: '/v1/key-set',
    timeoutMs,
  });
  if (!called.ok) {
    const remedy = 'look at network, proxy and the broker; its host names must not be inspected';
    return [failure('broker', called.detail, remedy)];
  }
  const answer = parseFields(keySetAnswer, called.value);
  const verified = answer.ok
    ? verifyKeySet(answer.value.key_set, {
        rootCertificate: enrollment.rootCertificate,
        organizationId: enrollment.organizationId,
        brokerUrl: enrollment.brokerUrl,
        lowestVersion: enrollment.keySetVersion,
        signerValidAtSeconds: nowSeconds,
      })
    : answer;
  return verified.ok
    ? [
        ok('broker', `answers at ${enrollment.brokerUrl}, under the root that this device knows`),
        await checkStanding(configuration, enrollment, nowSeconds, timeoutMs),
      ]
    : [
        failure(
          'broker',
          `answers, but not as the broker of this device: ${verified.detail}`,
          'tell whoever runs the broker; until then nobody signs in from here',
        ),
      ];
}
