/** What other programs of the workspace use; the `countersign` command itself starts at `main.ts`. */
export {
  type AttestingDevice,
  type AttestRequest,
  answerChallenge,
} from './attest/answer-challenge.ts';
export type { Configuration } from './configuration/configuration.ts';
export {
  type ConfigurationReason,
  loadConfiguration,
} from './configuration/load-configuration.ts';
export {
  type EnrollInput,
  type EnrollmentStep,
  type EnrollReason,
  enroll,
} from './enrollment/enroll.ts';
export type { EnrollmentOutcome } from './enrollment/enrollment-outcome.ts';
export { type Enrollment, readEnrollment } from './enrollment/enrollment-record.ts';
export { encodeFrame } from './framing/frame.ts';
export { type FrameEvent, FrameReader } from './framing/frame-reader.ts';
export { hostVersion } from './host-version.ts';
export { parseBrokerUrl } from './http/broker-url.ts';
export {
  type HostManifestForm,
  type HostManifestInput,
  renderHostManifest,
  writeHostManifest,
} from './installation/host-manifest.ts';
export {
  type HostManifestBrowser,
  type HostManifestPlace,
  type HostManifestScope,
  hostManifestBrowsers,
  hostManifestFormOf,
  hostManifestPlace,
} from './installation/host-manifest-place.ts';
export { type LauncherInput, renderLauncher, writeLauncher } from './installation/launcher.ts';
export { readStoredKeySet, type StoredKeySet } from './key-set/stored-key-set.ts';
export { FileKeyStore } from './keystore/file-keystore.ts';
export { FileKeyStores } from './keystore/file-keystores.ts';
export type { KeyProtection, KeyStore, KeyStoreReason, KeyStores } from './keystore/keystore.ts';
export { openKeyStores } from './keystore/open-keystores.ts';
export { loadCryptoki } from './keystore/pkcs11/load-cryptoki.ts';
export {
  certifyKey,
  identifyTpm,
  type KeyCertification,
  type ReceivedCredential,
  type TpmIdentity,
} from './keystore/tpm/tpm-attester.ts';
export { TpmKeyStores } from './keystore/tpm/tpm-keystores.ts';
export { measurePosture } from './posture/measure-posture.ts';
export { machineProbe, type PostureProbe } from './posture/posture-probe.ts';
export { readPosture } from './posture/read-posture.ts';
export type { Failure, Result, Success } from './result.ts';
export { readHostStatus } from './status/read-host-status.ts';
