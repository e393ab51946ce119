/**
 * GetCACaps (RFC 8894 section 3.5.2). `SCEPStandard` says AES, SHA-256, POST and renewal; older clients look for each, and
 * strongSwan 5.9.8 takes SHA-384 for SHA-256. Neither `DES3` nor `SHA-1`: they are refused. No `GetNextCACert`: while
 * issuers are rolled over, both are simply there.
 */
export const caCapabilities = [
  'AES',
  'POSTPKIOperation',
  'Renewal',
  'SCEPStandard',
  'SHA-256',
  'SHA-384',
  'SHA-512',
];
